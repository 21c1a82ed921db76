//! What a corrected sheet makes of what was sent, is on its way, or is yet to go.

use super::*;
use crate::journal::decision::Order;

/// The files of one sample under the name, and with the comment, that a sheet gives them.
fn called(name: &str, files_of: &str, sheet: &str, comment: &str) -> Sample {
    let mut sample = sample(files_of);
    sample.key.name = name.to_owned();
    let Target::Sample { name: told, metadata, .. } = &mut sample.target else { unreachable!() };
    name.clone_into(told);
    metadata.push(("comments".to_owned(), comment.to_owned()));
    sample.sheets = vec![SheetUsed { path: "/data/miseq/run1/SampleSheet.csv".into(), sha256: sheet.to_owned() }];
    sample
}

fn named(name: &str, files_of: &str, sheet: &str) -> Sample {
    called(name, files_of, sheet, "fat")
}

async fn find(journal: &Journal, samples: &[&Sample]) -> Assembled {
    let findings = samples.iter().map(|sample| found_in_ending_run((*sample).clone(), Standing::Ready)).collect();
    let assembled = journal.assembled(findings).await.unwrap();
    // As the assembler does with what it does not find any more.
    let ids = all(journal).into_iter().map(|record| record.sample.id());
    let unmade = ids.filter(|id| !assembled.samples.contains(id)).collect();
    journal.unmade(unmade, |_| true).await.unwrap();
    assembled
}

async fn send(journal: &Journal, id: &SampleId, flow_id: &str) {
    journal.change(id, Record::taken).await.unwrap();
    let sent = Sent { sample_id: Some(flow_id.to_owned()), ..sent() };
    journal.change(id, |record| record.done(sent)).await.unwrap();
}

async fn decide(journal: &Journal, verb: Verb, id: SampleId, name: Option<&str>) -> Result<Vec<Record>, JournalError> {
    let name = name.map(str::to_owned);
    let (runs, who, reason) = (Vec::new(), "alice".to_owned(), None);
    journal.decide(Order { verb, samples: vec![id], runs, who, reason, name }).await
}

/// Name, state, and name on Flow of every sample.
fn states(journal: &Journal) -> Vec<(String, &'static str, String)> {
    let told = |record: Record| {
        let name = super::super::change::name_on_flow(&record.sample).to_owned();
        (record.sample.key.name.clone(), record.state.name(), name)
    };
    all(journal).into_iter().map(told).collect()
}

fn is(name: &str, state: &'static str, on_flow: &str) -> (String, &'static str, String) {
    (name.to_owned(), state, on_flow.to_owned())
}

fn reason_of(journal: &Journal, name: &str) -> String {
    let record = all(journal).into_iter().find(|record| record.sample.key.name == name).unwrap();
    let State::Skipped { reason, .. } = record.state else { panic!("{record:?}") };
    reason
}

fn record_of(journal: &Journal, sample: &Sample) -> Record {
    journal.record(&sample.id()).unwrap().unwrap()
}

#[tokio::test]
async fn a_sample_that_is_on_flow_is_held_under_its_own_id_until_the_sheet_or_a_person_says_otherwise() {
    let dir = state_dir();
    let journal = open(&dir);
    let (a, b) = (named("a", "a", "one"), named("b", "a", "two"));
    find(&journal, &[&a]).await;
    send(&journal, &a.id(), "70").await;

    let assembled = find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("a", "held", "a")]);
    assert_eq!(assembled.changed.len(), 1);
    let held = record_of(&journal, &a);
    let State::Held { reason, .. } = &held.state else { panic!("{held:?}") };
    assert!(reason.contains("SampleSheet.csv changed") && reason.contains("name was \"a\" and is \"b\""), "{reason}");
    let change = Change::Value { value: "name".into(), was: Some("a".into()), is: Some("b".into()) };
    assert_eq!(held.changes(), [change]);
    assert!(find(&journal, &[&b]).await.changed.is_empty(), "once");
    assert!(decide(&journal, Verb::Release, a.id(), None).await.is_err());

    // A restart, and one that lost the journal, hold it as well.
    drop(journal);
    let journal = open(&dir);
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("a", "held", "a")]);
    drop(journal);
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    let journal = open(&dir);
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("a", "held", "a")]);

    // Corrected back.
    find(&journal, &[&named("a", "a", "three")]).await;
    assert_eq!(states(&journal), [is("a", "done", "a")]);

    // Left as it is, and said so once.
    find(&journal, &[&named("c", "a", "four")]).await;
    decide(&journal, Verb::Skip, a.id(), None).await.unwrap();
    find(&journal, &[&named("c", "a", "four")]).await;
    find(&journal, &[&named("c", "a", "five")]).await;
    assert_eq!(states(&journal), [is("a", "done", "a")]);

    // Sent under its new name.
    find(&journal, &[&b]).await;
    let resent = decide(&journal, Verb::Resend, a.id(), None).await.unwrap();
    assert_eq!(resent[0].history.earlier.len(), 1, "what must be retracted");
    assert_eq!(states(&journal), [is("a", "queued", "b")]);
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("a", "queued", "b")], "before it is begun as well");
    send(&journal, &a.id(), "71").await;
    find(&journal, &[&b]).await;
    find(&journal, &[&named("b", "a", "six")]).await;
    assert_eq!(states(&journal), [is("a", "done", "b")]);

    // And back once more: what is on Flow is the other one now.
    find(&journal, &[&named("a", "a", "seven")]).await;
    assert_eq!(states(&journal), [is("a", "held", "b")]);
    decide(&journal, Verb::Resend, a.id(), Some("a_v3")).await.unwrap();
    send(&journal, &a.id(), "72").await;
    find(&journal, &[&named("a", "a", "seven")]).await;
    assert_eq!(states(&journal), [is("a", "done", "a_v3")]);
    assert_eq!(record_of(&journal, &a).history.earlier.len(), 2);
}

#[tokio::test]
async fn two_samples_that_exchange_their_names_are_both_held_and_sent_only_as_told() {
    let dir = state_dir();
    let journal = open(&dir);
    let (a, b) = (named("a", "a", "one"), named("b", "b", "one"));
    find(&journal, &[&a, &b]).await;
    send(&journal, &a.id(), "70").await;
    send(&journal, &b.id(), "71").await;
    let (new_a, new_b) = (named("a", "b", "two"), named("b", "a", "two"));
    for _ in 0..3 {
        let assembled = find(&journal, &[&new_a, &new_b]).await;
        assert!(assembled.to_compare.is_empty() && assembled.awaited.is_empty());
        assert_eq!(states(&journal), [is("a", "held", "a"), is("b", "held", "b")]);
    }
    decide(&journal, Verb::Resend, a.id(), None).await.unwrap();
    for _ in 0..2 {
        find(&journal, &[&new_a, &new_b]).await;
        assert_eq!(states(&journal), [is("a", "queued", "b"), is("b", "held", "b")]);
    }
    send(&journal, &a.id(), "72").await;
    decide(&journal, Verb::Resend, b.id(), None).await.unwrap();
    send(&journal, &b.id(), "73").await;
    for _ in 0..2 {
        assert!(find(&journal, &[&new_a, &new_b]).await.to_compare.is_empty());
        assert_eq!(states(&journal), [is("a", "done", "b"), is("b", "done", "a")]);
    }
    drop(journal);
    let journal = open(&dir);
    find(&journal, &[&new_a, &new_b]).await;
    assert_eq!(states(&journal), [is("a", "done", "b"), is("b", "done", "a")]);
}

#[tokio::test]
async fn what_was_not_sent_takes_the_new_name_and_what_is_under_way_ends_under_its_old_one() {
    let dir = state_dir();
    let journal = open(&dir);
    let (a, b) = (named("a", "a", "one"), named("b", "a", "two"));
    find(&journal, &[&a]).await;
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("b", "queued", "b")], "it is no other");

    journal.change(&b.id(), Record::taken).await.unwrap();
    let assembled = find(&journal, &[&a]).await;
    assert_eq!((assembled.awaited, states(&journal)), (vec![b.id()], vec![is("b", "uploading", "b")]));
    journal.change(&b.id(), |record| record.advanced(upload(asking()))).await.unwrap();
    journal.change(&b.id(), Record::put_back).await.unwrap();
    find(&journal, &[&a]).await;
    assert_eq!(states(&journal), [is("b", "queued", "b")], "Flow may have it under that name");
    send(&journal, &b.id(), "70").await;
    find(&journal, &[&a]).await;
    assert_eq!(states(&journal), [is("b", "held", "b")]);
}

#[tokio::test]
async fn an_interrupted_upload_and_what_a_person_keeps_back_take_the_new_name_with_what_was_decided() {
    let dir = state_dir();
    let journal = open(&dir);
    let (a, b) = (named("a", "a", "one"), named("b", "a", "two"));
    find(&journal, &[&a]).await;
    journal.change(&a.id(), Record::taken).await.unwrap();
    journal.change(&a.id(), |record| record.advanced(upload(sending()))).await.unwrap();
    journal.change(&a.id(), Record::put_back).await.unwrap();
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("b", "queued", "b")]);
    assert_eq!(state(&journal, &b), State::Queued { upload: None }, "from its beginning");

    decide(&journal, Verb::Hold, b.id(), None).await.unwrap();
    find(&journal, &[&a]).await;
    assert_eq!(states(&journal), [is("a", "held", "a")], "held for a wrong sheet, and still so with the right one");
    assert_eq!(record_of(&journal, &a).history.decisions.len(), 1);
    drop(journal);
    let journal = open(&dir);
    assert_eq!(states(&journal), [is("a", "held", "a")], "the receipts agree");
    assert!(journal.notices().is_empty(), "{:?}", journal.notices());
    decide(&journal, Verb::Skip, a.id(), None).await.unwrap();
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("b", "skipped", "b")]);
}

#[tokio::test]
async fn other_values_are_told_beside_what_was_sent_and_change_nothing() {
    let dir = state_dir();
    let journal = open(&dir);
    let (fat, thin) = (called("a", "a", "one", "fat"), called("a", "a", "two", "thin"));
    find(&journal, &[&fat]).await;
    send(&journal, &fat.id(), "70").await;
    find(&journal, &[&thin]).await;
    let change = Change::Value { value: "metadata.comments".into(), was: Some("fat".into()), is: Some("thin".into()) };
    assert_eq!((states(&journal), record_of(&journal, &fat).changes()), (vec![is("a", "done", "a")], vec![change]));
    find(&journal, &[&called("a", "a", "three", "fat")]).await;
    assert!(record_of(&journal, &fat).changes().is_empty(), "corrected back");

    find(&journal, &[&thin]).await;
    decide(&journal, Verb::Skip, fat.id(), None).await.unwrap();
    find(&journal, &[&thin]).await;
    assert!(record_of(&journal, &fat).changes().is_empty(), "a person has seen it");
    assert!(decide(&journal, Verb::Skip, fat.id(), None).await.is_err());

    find(&journal, &[&called("a", "a", "four", "thinner")]).await;
    decide(&journal, Verb::Resend, fat.id(), None).await.unwrap();
    let Target::Sample { metadata, .. } = record_of(&journal, &fat).sample.target else { panic!() };
    assert_eq!(metadata.last().unwrap().1, "thinner");
}

#[tokio::test]
async fn a_changed_manifest_holds_nothing() {
    let dir = state_dir();
    let journal = open(&dir);
    let a = named("a", "a", "one");
    find(&journal, &[&a]).await;
    send(&journal, &a.id(), "70").await;
    // Another template for the name, and values of its own.
    find(&journal, &[&called("run1_a", "a", "one", "fat")]).await;
    assert_eq!(states(&journal), [is("a", "done", "a"), is("run1_a", "skipped", "run1_a")]);
    let reason = reason_of(&journal, "run1_a");
    let expected =
        format!("its files are those of a ({}), which is on Flow as sample 70, and are not sent twice", a.id());
    assert!(reason.starts_with(&expected), "{reason}");
    // Another template leaves nothing of the one before.
    let skipped = record_of(&journal, &named("run1_a", "a", "one")).sample.id();
    decide(&journal, Verb::Release, skipped, None).await.unwrap();
    find(&journal, &[&called("run1_a", "a", "one", "fat")]).await;
    find(&journal, &[&called("lab_a", "a", "one", "fat")]).await;
    assert_eq!(states(&journal), [is("a", "done", "a"), is("lab_a", "skipped", "lab_a")]);
    assert_eq!(reason_of(&journal, "lab_a"), reason);
    drop(journal);
    let journal = open(&dir);
    assert!(journal.notices().is_empty(), "the receipts agree: {:?}", journal.notices());
    find(&journal, &[&called("a", "a", "one", "thin")]).await;
    assert_eq!(states(&journal), [is("a", "done", "a")]);
    assert!(record_of(&journal, &a).changes().is_empty());
    let other_rule = Sample { rule: "other".into(), ..named("c", "a", "two") };
    find(&journal, &[&other_rule]).await;
    assert_eq!(state(&journal, &other_rule).name(), "skipped");
    assert_eq!(state(&journal, &a).name(), "done");
}

/// A person said that the files are not to be sent, of whatever name.
#[tokio::test]
async fn what_a_person_keeps_back_stays_so_under_the_name_of_a_changed_manifest() {
    let dir = state_dir();
    let journal = open(&dir);
    let of_rule = |name: &str, rule: &str| Sample { rule: rule.into(), sheets: Vec::new(), ..named(name, "a", "") };
    let (a, b, c) = (of_rule("a", "reads"), of_rule("b", "reads"), of_rule("c", "other"));
    find(&journal, &[&a]).await;
    decide(&journal, Verb::Hold, a.id(), None).await.unwrap();
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("b", "held", "b")]);
    decide(&journal, Verb::Skip, b.id(), None).await.unwrap();
    find(&journal, &[&c]).await;
    assert_eq!(states(&journal), [is("c", "skipped", "c")], "by another rule");
    drop(journal);
    let journal = open(&dir);
    find(&journal, &[&c]).await;
    assert_eq!(record_of(&journal, &c).history.decisions.len(), 2);

    // Grouped with other files it is another sample, and goes as little.
    let mut both = of_rule("both", "reads");
    let mut part = both.slots[0].parts[0].clone();
    part.path.set_file_name("another");
    both.slots[0].parts.push(part);
    find(&journal, &[&both]).await;
    assert_eq!(states(&journal), [is("both", "skipped", "both"), is("c", "skipped", "c")]);
    let State::Skipped { reason, .. } = record_of(&journal, &both).state else { panic!() };
    assert!(reason.contains("c (") && reason.contains("a person keeps back"), "{reason}");
    decide(&journal, Verb::Release, c.id(), None).await.unwrap();
    find(&journal, &[&both]).await;
    assert_eq!(state(&journal, &both).name(), "queued");
}

#[tokio::test]
async fn what_flow_refused_is_forgotten_when_its_files_have_another_name() {
    let dir = state_dir();
    let journal = open(&dir);
    let (a, b) = (sample("a"), Sample { sheets: Vec::new(), ..named("b", "a", "") });
    find(&journal, &[&a]).await;
    journal.change(&a.id(), Record::taken).await.unwrap();
    journal.change(&a.id(), |record| record.blocked("no such type".into(), Blocker::Refusal)).await.unwrap();
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("b", "queued", "b")]);
}

#[tokio::test]
async fn content_and_name_may_change_together() {
    let dir = state_dir();
    let journal = open(&dir);
    let a = named("a", "a", "one");
    find(&journal, &[&a]).await;
    send(&journal, &a.id(), "70").await;
    let mut touched = named("b", "a", "two");
    touched.slots[0].parts[0].fingerprint.modified_ns += 1;
    assert!(find(&journal, &[&touched]).await.to_compare.is_empty(), "its name is enough");
    assert_eq!(record_of(&journal, &a).changes().len(), 2);
    // The name is right again: now it is the content that counts.
    let back = Sample { slots: touched.slots.clone(), ..named("a", "a", "three") };
    let assembled = find(&journal, &[&back]).await;
    assert_eq!(assembled.to_compare, [(a.id(), back.clone())]);
    let file = |hash: &str| SlotHashes { sha256: hash.repeat(32), parts: Vec::new() };
    let same = sent().files.iter().map(|file| file.sha256.clone().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(same[0], "ab".repeat(32));
    let compared = move |record: Record| record.compared(back, &[file("ef"), file("cd")]);
    journal.change(&a.id(), compared).await.unwrap();
    assert_eq!((states(&journal), record_of(&journal, &a).changes().len()), (vec![is("a", "held", "a")], 1));
}

/// A sheet that is saved while it is read, or lacks a sample, makes no second sample of what was sent.
#[tokio::test]
async fn a_sheet_that_says_nothing_makes_nothing_new() {
    let dir = state_dir();
    let journal = open(&dir);
    let a = named("a", "a", "one");
    find(&journal, &[&a]).await;
    send(&journal, &a.id(), "70").await;
    let nameless = Sample { sheets: Vec::new(), ..named("reads/a_R1.fastq.gz", "a", "") };
    for standing in [waiting("the sheet has not settled"), Standing::Blocked("no such row".into())] {
        journal.assembled(vec![found_in_ending_run(nameless.clone(), standing)]).await.unwrap();
        assert_eq!(states(&journal), [is("a", "done", "a")]);
    }
}

/// What a changed manifest names anew waits for what its files began as, and is looked at once that has ended.
#[tokio::test]
async fn what_is_begun_ends_under_the_name_that_it_has_by_its_old_template() {
    let dir = state_dir();
    let journal = open(&dir);
    let (a, b) = (sample("a"), Sample { sheets: Vec::new(), ..named("b", "a", "") });
    find(&journal, &[&a]).await;
    journal.change(&a.id(), Record::taken).await.unwrap();
    journal.change(&a.id(), |record| record.advanced(upload(sending()))).await.unwrap();
    let assembled = find(&journal, &[&b]).await;
    assert_eq!(assembled.awaited, [a.id()]);
    journal.change(&a.id(), Record::put_back).await.unwrap();
    let assembled = find(&journal, &[&b]).await;
    assert_eq!(assembled.awaited, [a.id()]);
    assert_eq!(states(&journal), [is("a", "queued", "a"), is("b", "skipped", "b")]);
    let reason = reason_of(&journal, "b");
    assert!(reason.starts_with(&format!("its files are those of a ({}) and are not sent twice", a.id())), "{reason}");
    send(&journal, &a.id(), "70").await;
    assert!(find(&journal, &[&b]).await.awaited.is_empty());
    assert_eq!(states(&journal), [is("a", "done", "a"), is("b", "skipped", "b")]);
    assert!(reason_of(&journal, "b").contains("on Flow as sample 70"));

    // One that comes to nothing is forgotten, and its files go up as they are called now.
    let (c, d) = (sample("c"), Sample { sheets: Vec::new(), ..named("d", "c", "") });
    find(&journal, &[&b, &c]).await;
    decide(&journal, Verb::Release, c.id(), None).await.unwrap();
    find(&journal, &[&b, &c]).await;
    journal.change(&c.id(), Record::taken).await.unwrap();
    find(&journal, &[&b, &d]).await;
    journal.change(&c.id(), |record| record.blocked("no such type".into(), Blocker::Refusal)).await.unwrap();
    find(&journal, &[&b, &d]).await;
    assert_eq!(states(&journal)[2..], [is("d", "queued", "d")]);
}

/// Another sample may be called so later, and nobody closed that one.
#[tokio::test]
async fn that_a_sample_was_closed_is_forgotten_with_it() {
    let dir = state_dir();
    let journal = open(&dir);
    let [a, b] = [named("a", "a", "1"), named("b", "a", "2")];
    put(&journal, &a, waiting("for reads2")).await;
    decide(&journal, Verb::Close, a.id(), None).await.unwrap();
    assert_eq!(journal.closed("miseq", "run1").samples, ["a".to_owned()].into());
    put(&journal, &b, waiting("for reads2")).await;
    journal.unmade(vec![a.id()], |_| true).await.unwrap();
    assert_eq!(states(&journal), [is("b", "waiting", "b")]);
    let closed = journal.closed("miseq", "run1");
    assert_eq!(closed, Default::default());
    drop(journal);
    assert_eq!(open(&dir).closed("miseq", "run1"), closed);
}

/// Whatever people said of it, nothing of it was sent, and its files have another name now.
#[tokio::test]
async fn what_was_never_sent_leaves_no_ghost_under_the_name_of_an_old_template() {
    let dir = state_dir();
    let journal = open(&dir);
    let (a, b) = (sample("a"), Sample { sheets: Vec::new(), ..named("b", "a", "") });
    let asks = || Standing::AwaitsRelease("the rule asks".to_owned());
    for standing in [asks(), waiting("for the marker")] {
        put(&journal, &a, standing.clone()).await;
        let verb = if standing.is_whole() { Verb::Release } else { Verb::Close };
        decide(&journal, verb, a.id(), None).await.unwrap();
        put(&journal, &b, standing).await;
        journal.unmade(vec![a.id()], |_| true).await.unwrap();
        assert_eq!(states(&journal).len(), 1, "{:?}", all(&journal));
        put(&journal, &a, waiting("again")).await;
        journal.unmade(vec![b.id()], |_| true).await.unwrap();
    }
    put(&journal, &a, Standing::Ready).await;
    journal.change(&a.id(), Record::taken).await.unwrap();
    journal.change(&a.id(), |record| record.blocked("no such type".into(), Blocker::Refusal)).await.unwrap();
    decide(&journal, Verb::Hold, a.id(), None).await.unwrap();
    decide(&journal, Verb::Release, a.id(), None).await.unwrap();
    put(&journal, &a, Standing::Blocked("no such row".into())).await;
    find(&journal, &[&b]).await;
    assert_eq!(states(&journal), [is("b", "queued", "b")]);
    drop(journal);
    let journal = open(&dir);
    assert!(journal.notices().is_empty(), "the receipts agree: {:?}", journal.notices());
    assert_eq!(states(&journal), [is("b", "queued", "b")]);
}

/// A file belongs to one rule, and is not sent as another kind as well.
#[tokio::test]
async fn a_rule_of_another_kind_does_not_send_what_is_on_flow() {
    let data = |sample: &Sample, slot: usize| {
        let mut data = sample.clone();
        data.key.kind = Kind::Data;
        data.slots = vec![data.slots.swap_remove(slot)];
        data.key.name.clone_from(&data.slots[0].filename);
        data.target = Target::Data { data_type: None, is_directory: false };
        data.sheets.clear();
        data
    };
    let dir = state_dir();
    let journal = open(&dir);
    let (a, b) = (sample("a"), sample("b"));
    find(&journal, &[&a]).await;
    send(&journal, &a.id(), "70").await;
    let data_of_b = data(&b, 1);
    find(&journal, &[&data(&a, 0), &data(&a, 1), &data_of_b]).await;
    for file in [data(&a, 0), data(&a, 1)] {
        assert_eq!(state(&journal, &file).name(), "skipped");
        let reason = reason_of(&journal, &file.key.name);
        assert!(reason.contains(&format!("those of a ({}), which is on Flow as sample 70", a.id())), "{reason}");
    }
    decide(&journal, Verb::Release, data_of_b.id(), None).await.unwrap();
    find(&journal, &[&data_of_b]).await;
    journal.change(&data_of_b.id(), Record::taken).await.unwrap();
    let file = SentFile::new("75".into(), None);
    let sent = Sent { sample_id: None, files: vec![file], ..sent() };
    journal.change(&data_of_b.id(), |record| record.done(sent)).await.unwrap();
    find(&journal, &[&a, &b]).await;
    assert_eq!((state(&journal, &a).name(), state(&journal, &b).name()), ("done", "skipped"));
    let reason = reason_of(&journal, "b");
    assert!(reason.contains("which is on Flow as data 75"), "{reason}");

    // What a person gave by hand as a file is another thing than the sample that a rule makes of it.
    let c = sample("c");
    let mut by_hand = data(&c, 0);
    by_hand.key.watch = crate::sample::BY_HAND.to_owned();
    journal.submit(vec![by_hand.clone()]).await.unwrap();
    journal.change(&by_hand.id(), Record::taken).await.unwrap();
    put(&journal, &c, Standing::Ready).await;
    assert_eq!(state(&journal, &c), State::Queued { upload: None });
}

/// A watch that is called otherwise has no turn under its old name.
#[tokio::test]
async fn what_was_begun_goes_on_for_the_watch_that_sees_its_files_now() {
    let elsewhere = |sample: &Sample| {
        let mut found = sample.clone();
        found.key.watch = "floor2".to_owned();
        found
    };
    let a = sample("a");
    let mut other = elsewhere(&a);
    let Target::Sample { organism, .. } = &mut other.target else { unreachable!() };
    *organism = None;
    for (stage, is_intended) in [(sending(), false), (asking(), true), (Stage::Ready { data_id: "72".into() }, true)] {
        let dir = state_dir();
        let journal = open(&dir);
        begin(&journal, &a).await;
        let begun = upload(stage);
        let reached = begun.clone();
        journal.change(&a.id(), |record| record.advanced(reached)).await.unwrap();
        put(&journal, &elsewhere(&a), Standing::Ready).await;
        assert_eq!(state(&journal, &elsewhere(&a)).name(), "skipped", "it is under way");
        journal.change(&a.id(), Record::put_back).await.unwrap();
        put(&journal, &other, Standing::Ready).await;
        if is_intended {
            assert_eq!(state(&journal, &other).name(), "skipped", "Flow may have it as it was");
            put(&journal, &elsewhere(&a), Standing::Ready).await;
            assert_eq!(state(&journal, &elsewhere(&a)), State::Queued { upload: Some(begun) });
        } else {
            assert_eq!(state(&journal, &other), State::Queued { upload: None }, "made otherwise, it begins anew");
        }
        assert_eq!(all(&journal).len(), 1, "it is no other");
        drop(journal);
        let journal = open(&dir);
        assert!(journal.notices().is_empty(), "the receipts agree: {:?}", journal.notices());
        drop(journal);
        std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
        assert_eq!(all(&open(&dir)).len(), usize::from(is_intended), "what Flow may have is known for good");
    }
}
