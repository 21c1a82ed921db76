//! What people decide, and what is found after a run was delivered.

use super::super::state::Circumstances;
use super::*;

fn decision(verb: Verb) -> Decision {
    Decision { verb, who: "alice".into(), when: "2026-11-24T10:00:00Z".parse().unwrap(), reason: Some("why".into()) }
}

pub(super) fn order(verb: Verb, sample: &Sample) -> Order {
    Order { verb, samples: vec![sample.id()], runs: Vec::new(), who: "alice".into(), reason: None, name: None }
}

fn order_of_run(verb: Verb) -> Order {
    let runs = vec![RunName { watch: "miseq".into(), run: "run1".into() }];
    Order { verb, samples: Vec::new(), runs, who: "alice".into(), reason: None, name: None }
}

fn changed() -> State {
    let mut found = sample("a");
    found.slots[1].parts[0].fingerprint.size += 1;
    State::Held { reason: "x".into(), by: Holder::Changed { sent: sent(), found: Box::new(found) }, upload: None }
}

/// A state by a name for it, and what each decision makes of it; `-`: it cannot be.
type Case = (&'static str, State, [(Verb, &'static str); 6]);

async fn deliver(journal: &Journal, sample: &Sample) {
    begin(journal, sample).await;
    journal.change(&sample.id(), |record| record.done(sent())).await.unwrap();
}

/// What a sample of the run would be that is found now.
async fn find(journal: &Journal, sample: &Sample, in_ending_run: bool) -> State {
    let finding = Finding { in_ending_run, ..found(sample.clone(), Standing::Ready) };
    journal.assembled(vec![finding]).await.unwrap();
    state(journal, sample)
}

#[test]
fn what_each_decision_makes_of_each_state() {
    use Verb::{Close, Hold, Release, Resend, Retry, Skip};
    let next_try = Moment { boot: 1, at: Duration::ZERO };
    let blocked = |by| State::Blocked { reason: "x".into(), by };
    let by = |by| State::Skipped { reason: "x".into(), by };
    let held_by = |by, upload| State::Held { reason: "x".into(), by, upload };
    let retrying = |upload| State::Retrying { upload, next_try, error: "x".into() };
    let cases: Vec<Case> = vec![
        (
            "waiting",
            State::Waiting { reason: "x".into(), again: None },
            [(Hold, "held"), (Release, "-"), (Skip, "skipped"), (Close, "waiting"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "not whole",
            State::Waiting { reason: "x".into(), again: Some(Again { at: next_try, until: next_try }) },
            [(Hold, "held"), (Release, "-"), (Skip, "skipped"), (Close, "waiting"), (Resend, "-"), (Retry, "queued")],
        ),
        (
            "held by a person",
            held_by(Holder::Person, None),
            [(Hold, "held"), (Release, "waiting"), (Skip, "skipped"), (Close, "-"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "held on its way",
            held_by(Holder::Person, Some(upload(sending()))),
            [(Hold, "held"), (Release, "queued"), (Skip, "skipped"), (Close, "-"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "new output",
            held_by(Holder::NewOutput, None),
            [(Hold, "held"), (Release, "waiting"), (Skip, "skipped"), (Close, "-"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "held by its rule",
            held_by(Holder::Rule, None),
            [(Hold, "held"), (Release, "waiting"), (Skip, "skipped"), (Close, "-"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "changed",
            changed(),
            [(Hold, "held"), (Release, "-"), (Skip, "done"), (Close, "-"), (Resend, "queued"), (Retry, "-")],
        ),
        (
            "queued",
            State::Queued { upload: None },
            [(Hold, "held"), (Release, "-"), (Skip, "skipped"), (Close, "-"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "queued, nearly sent",
            State::Queued { upload: Some(upload(asking())) },
            [(Hold, "-"), (Release, "-"), (Skip, "-"), (Close, "-"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "uploading",
            State::Uploading { upload: upload(sending()) },
            [(Hold, "uploading"), (Release, "-"), (Skip, "uploading"), (Close, "-"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "retrying",
            retrying(upload(sending())),
            [(Hold, "held"), (Release, "-"), (Skip, "skipped"), (Close, "-"), (Resend, "-"), (Retry, "queued")],
        ),
        (
            "retrying, nearly sent",
            retrying(upload(asking())),
            [(Hold, "-"), (Release, "-"), (Skip, "-"), (Close, "-"), (Resend, "-"), (Retry, "queued")],
        ),
        (
            "blocked by what lies on disk",
            blocked(Blocker::Assembly),
            [(Hold, "held"), (Release, "-"), (Skip, "skipped"), (Close, "blocked"), (Resend, "-"), (Retry, "-")],
        ),
        (
            "blocked by a refusal",
            blocked(Blocker::Refusal),
            [(Hold, "held"), (Release, "-"), (Skip, "skipped"), (Close, "-"), (Resend, "-"), (Retry, "queued")],
        ),
        (
            "in doubt",
            blocked(Blocker::Doubt),
            [(Hold, "-"), (Release, "-"), (Skip, "skipped"), (Close, "-"), (Resend, "-"), (Retry, "queued")],
        ),
        (
            "done",
            State::Done { sent: sent() },
            [(Hold, "-"), (Release, "-"), (Skip, "-"), (Close, "-"), (Resend, "queued"), (Retry, "-")],
        ),
        (
            "skipped as existing",
            by(Skipper::Assembly),
            [(Hold, "-"), (Release, "waiting"), (Skip, "-"), (Close, "-"), (Resend, "waiting"), (Retry, "-")],
        ),
        (
            "skipped by a person",
            by(Skipper::Person),
            [(Hold, "-"), (Release, "waiting"), (Skip, "-"), (Close, "-"), (Resend, "waiting"), (Retry, "-")],
        ),
        (
            "skipped as the same",
            by(Skipper::Same),
            [(Hold, "-"), (Release, "-"), (Skip, "-"), (Close, "-"), (Resend, "waiting"), (Retry, "-")],
        ),
    ];
    for (name, state, becomes) in cases {
        for (verb, expected) in becomes {
            let decided = record(state.clone()).decided(decision(verb), None);
            let got = decided.as_ref().map_or("-", |record| record.state.name());
            assert_eq!(got, expected, "{name}: {verb:?}");
            if let Ok(record) = decided {
                assert_eq!(record.history.decisions, [decision(verb)], "{name}: who, when and why stays");
            }
        }
    }
}

#[test]
fn an_upload_that_is_to_be_held_goes_on_from_there_when_it_is_released() {
    let uploading = record(State::Uploading { upload: upload(sending()) });
    let wished = uploading.decided(decision(Verb::Hold), None).unwrap();
    let advanced = wished.clone().advanced(upload(sending())).unwrap();
    assert_eq!(advanced.state.name(), "uploading", "it stops between two chunks, not before");
    let held = advanced.put_back().unwrap();
    let reason = "held by alice: why".to_owned();
    assert_eq!(held.state, State::Held { reason, by: Holder::Person, upload: Some(upload(sending())) });
    let released = held.decided(decision(Verb::Release), None).unwrap();
    assert_eq!(released.state, State::Queued { upload: Some(upload(sending())) });

    assert_eq!(wished.clone().done(sent()).unwrap().state.name(), "done", "what has arrived has arrived");
    let asked_about = wished.clone().advanced(upload(asking())).unwrap().put_back().unwrap();
    assert_eq!(asked_about.state, State::Queued { upload: Some(upload(asking())) }, "it may have arrived");
    let taken_back = wished.decided(decision(Verb::Release), None).unwrap();
    assert_eq!(taken_back.put_back().unwrap().state.name(), "queued");
}

#[tokio::test]
async fn what_is_new_in_a_delivered_run_is_held_until_a_person_lets_it_go() {
    let dir = state_dir();
    let journal = open(&dir);
    let [first, early, late, later] = ["first", "early", "late", "later"].map(sample);
    put(&journal, &early, waiting("for reads2")).await;
    deliver(&journal, &first).await;
    assert_eq!(find(&journal, &early, true).await.name(), "queued", "it was known before");
    assert_eq!(find(&journal, &later, false).await.name(), "queued", "nothing tells that the run was over");
    let State::Held { reason, by: Holder::NewOutput, .. } = find(&journal, &late, true).await else {
        panic!("{:?}", state(&journal, &late));
    };
    assert!(reason.contains("1 sample had been sent") && reason.contains("late_R1.fastq.gz"), "{reason}");
    assert_eq!(find(&journal, &late, true).await.name(), "held");

    journal.decide(order(Verb::Release, &late)).await.unwrap();
    assert_eq!(state(&journal, &late).name(), "waiting");
    assert_eq!(find(&journal, &late, true).await.name(), "queued");
    drop(journal);
    let journal = open(&dir);
    assert_eq!(find(&journal, &late, true).await.name(), "queued", "it stays let go");
    assert_eq!(journal.record(&late.id()).unwrap().unwrap().history.decisions[0].who, "alice");
}

#[tokio::test]
async fn what_its_rule_holds_is_let_go_by_a_person_and_stays_so() {
    let dir = state_dir();
    let [a, b] = ["a", "b"].map(sample);
    let asks = || Standing::AwaitsRelease("rule clinical asks".to_owned());
    let assembled = async |journal: &Journal, sample: &Sample, standing| {
        put(journal, sample, standing).await;
        state(journal, sample)
    };
    {
        let journal = open(&dir);
        assert_eq!(assembled(&journal, &a, waiting("for reads2")).await.name(), "waiting", "before it is whole");
        let reason = "rule clinical asks".to_owned();
        assert_eq!(assembled(&journal, &a, asks()).await, State::Held { reason, by: Holder::Rule, upload: None });
        assert_eq!(assembled(&journal, &a, waiting("it changes")).await.name(), "waiting", "not whole any more");
        assert_eq!(assembled(&journal, &a, asks()).await.name(), "held");
        assert_eq!(assembled(&journal, &a, Standing::Ready).await.name(), "queued", "the rule asks no more");
        assert_eq!(assembled(&journal, &a, asks()).await.name(), "held");
        let retried = journal.decide(order(Verb::Retry, &a)).await;
        assert!(matches!(retried, Err(JournalError::Misstep { .. })), "{retried:?}");
        journal.decide(order_of_run(Verb::Release)).await.unwrap();
        assert_eq!(assembled(&journal, &b, asks()).await.name(), "held", "what comes later is another matter");
        assert_eq!(assembled(&journal, &a, waiting("it changes")).await.name(), "waiting");
    }
    let journal = open(&dir);
    assert_eq!(assembled(&journal, &a, asks()).await.name(), "queued", "it stays let go");
    journal.decide(order(Verb::Hold, &a)).await.unwrap();
    assert_eq!(assembled(&journal, &a, Standing::Ready).await.name(), "held", "by a person now");
    journal.decide(order(Verb::Hold, &b)).await.unwrap();
    assert_eq!(assembled(&journal, &b, Standing::Ready).await.name(), "held", "a person's word outlives the rule's");

    let c = sample("c");
    put(&journal, &c, asks()).await;
    journal.unmade(vec![c.id()], |_| true).await.unwrap();
    assert_eq!(journal.record(&c.id()).unwrap(), None, "nobody decided anything about it");
    put(&journal, &c, asks()).await;
    journal.unmade(vec![c.id()], |_| false).await.unwrap();
    assert_eq!(state(&journal, &c).name(), "waiting", "its files are gone");
}

#[tokio::test]
async fn what_is_said_of_a_run_binds_what_is_yet_to_come_of_it() {
    let dir = state_dir();
    let [a, b, c] = ["a", "b", "c"].map(sample);
    {
        let journal = open(&dir);
        put(&journal, &a, Standing::Ready).await;
        let mut orders = journal.orders();
        journal.decide(order_of_run(Verb::Hold)).await.unwrap();
        assert!(orders.has_changed().unwrap() && orders.borrow_and_update().eq(&1));
        assert_eq!(state(&journal, &a).name(), "held");
    }
    let journal = open(&dir);
    assert_eq!(find(&journal, &b, true).await.name(), "held");
    journal.decide(order_of_run(Verb::Release)).await.unwrap();
    for sample in [&a, &b, &c] {
        assert_eq!(find(&journal, sample, true).await.name(), "queued");
    }
    assert!(!journal.closed("miseq", "run1").run);
    journal.decide(order_of_run(Verb::Close)).await.unwrap();
    assert!(journal.closed("miseq", "run1").run && !journal.closed("miseq", "run2").run);
    put(&journal, &a, waiting("for reads2")).await;
    journal.decide(order(Verb::Close, &a)).await.unwrap();
    drop(journal);
    assert_eq!(open(&dir).closed("miseq", "run1").samples, ["a".to_owned()].into());
}

#[tokio::test]
async fn of_samples_that_are_named_all_are_decided_or_none() {
    let dir = state_dir();
    let journal = open(&dir);
    let [a, done] = ["a", "done"].map(sample);
    put(&journal, &a, Standing::Ready).await;
    deliver(&journal, &done).await;
    let both = Order { samples: vec![a.id(), done.id()], ..order(Verb::Hold, &a) };
    assert!(matches!(journal.decide(both).await, Err(JournalError::Misstep { .. })));
    assert_eq!(state(&journal, &a), State::Queued { upload: None });
    let unknown = Order { samples: vec![a.id(), SampleId::typed("x")], ..order(Verb::Hold, &a) };
    assert!(matches!(journal.decide(unknown).await, Err(JournalError::Unknown { .. })));
    assert_eq!(journal.decide(order_of_run(Verb::Skip)).await.unwrap().len(), 1, "of a run, those that can");
    assert_eq!(state(&journal, &a).name(), "skipped");
    assert_eq!(find(&journal, &a, true).await.name(), "skipped", "and it stays so");
}

mod content {
    use super::*;

    fn hashes_of(slots: [&str; 2]) -> Vec<SlotHashes> {
        slots.map(|hash| SlotHashes { sha256: hash.repeat(32), parts: Vec::new() }).into()
    }

    fn hashes() -> Vec<SlotHashes> {
        hashes_of(["ab", "cd"])
    }

    fn done() -> Record {
        let mut sent = sent();
        sent.files[1].sha256 = Some("cd".repeat(32));
        record(State::Done { sent })
    }

    fn touched() -> Sample {
        let mut sample = sample("a");
        sample.slots[1].parts[0].fingerprint.modified_ns += 1;
        sample
    }

    #[test]
    fn only_what_looks_different_and_has_settled_is_compared() {
        let must = |sample: Sample, standing| done().must_be_compared(&found(sample, standing));
        assert!(must(touched(), Standing::Ready) && must(touched(), Standing::Blocked("x".into())));
        assert!(!must(touched(), waiting("it has not settled")) && !must(sample("a"), Standing::Ready));
        let mut cleaned_up = sample("a");
        cleaned_up.slots.pop();
        assert!(!must(cleaned_up, Standing::Blocked("reads2 is missing".into())), "what is gone is no difference");
    }

    #[test]
    fn the_same_bytes_are_no_change_and_others_are_held_side_by_side() {
        let same = done().compared(touched(), &hashes()).unwrap();
        assert_eq!((same.state.name(), &same.sample), ("done", &touched()), "and are known by their new look");

        let other = hashes_of(["ab", "ef"]);
        let held = done().compared(touched(), &other).unwrap();
        let State::Held { reason, by: Holder::Changed { found: is, .. }, .. } = &held.state else { panic!("{held:?}") };
        assert_eq!((&held.sample, &**is), (&sample("a"), &touched()), "what was sent, and what is");
        assert!(reason.contains("a_R2.fastq.gz was 10 bytes of 2023-11-14T22:13:20Z and is 10 bytes"), "{reason}");
        assert!(!held.must_be_compared(&found(touched(), Standing::Ready)), "it has been compared");
        let around = Circumstances::default;
        let back = held.clone().assembled(found(sample("a"), Standing::Ready), around());
        assert_eq!(back.state, done().state, "it is again what was sent");
        assert_eq!(held.clone().vanished(), held);
    }

    #[test]
    fn of_the_parts_of_a_slot_those_are_named_that_are_others() {
        let parts = |looks: [i64; 3]| {
            let mut sample = sample_of_parts("a", 3);
            for (part, look) in sample.slots[0].parts.iter_mut().zip(looks) {
                part.fingerprint = Fingerprint { size: 9, modified_ns: look };
            }
            sample
        };
        let hashes = |whole: &str, parts: [&str; 3]| SlotHashes {
            sha256: whole.to_owned(),
            parts: parts.map(str::to_owned).to_vec(),
        };
        let mut sent = sent();
        sent.files[0] = SentFile::new("71".into(), Some(hashes("whole", ["one", "two", "three"])));
        let done = Record { sample: parts([1, 1, 1]), ..record(State::Done { sent }) };
        let now = [hashes("other", ["one", "zwei", "three"]), SlotHashes::default()];
        let held = done.compared(parts([2, 2, 1]), &now).unwrap();
        let State::Held { reason, .. } = &held.state else { panic!("{held:?}") };
        assert!(reason.contains("_1.fastq.gz was") && !reason.contains("_0.fastq.gz"), "{reason}");
        assert_eq!(held.changes().len(), 1, "{:?}", held.changes());
        let found = |sample| found(sample, Standing::Ready);
        assert!(!held.must_be_compared(&found(parts([2, 2, 1]))) && held.must_be_compared(&found(parts([2, 3, 1]))));
    }

    #[test]
    fn what_is_sent_again_keeps_what_must_be_retracted_and_the_name_that_a_person_gave() {
        let other = hashes_of(["ab", "ef"]);
        let held = done().compared(touched(), &other).unwrap();
        let resent = held.decided(decision(Verb::Resend), Some("a_v2".into())).unwrap();
        assert_eq!(resent.state, State::Queued { upload: None });
        assert_eq!(resent.history.earlier.len(), 1);
        let named = |record: &Record| match &record.sample.target {
            Target::Sample { name, .. } => name.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((named(&resent).as_str(), resent.sample.key.name.as_str()), ("a_v2", "a"));
        let found_again = resent.assembled(found(touched(), Standing::Ready), Circumstances::default());
        assert_eq!((named(&found_again).as_str(), found_again.state.name()), ("a_v2", "queued"));
        let owned = Circumstances { owner: Some("its files are another's".into()), ..Circumstances::default() };
        let insists = found_again.assembled(found(touched(), Standing::Ready), owned);
        assert_eq!(insists.state.name(), "queued", "a person insists");
    }

    #[test]
    fn what_is_on_flow_under_another_name_stays_skipped_for_as_long_as_it_is_that() {
        let same = record(State::Uploading { upload: Upload::default() });
        let same = same.is_the_same_as_another("as b".into()).unwrap();
        let again = |sample: Sample| same.clone().assembled(found(sample, Standing::Ready), Circumstances::default());
        assert_eq!(again(sample("a")).state.name(), "skipped");
        assert_eq!(again(touched()).state.name(), "queued");
    }

    #[tokio::test]
    async fn samples_of_the_same_files_find_each_other_wherever_those_lie() {
        let dir = state_dir();
        let journal = open(&dir);
        let copy = |name: &str, folder: &str| {
            let mut copy = sample("a");
            copy.key.name = name.into();
            for part in copy.slots.iter_mut().flat_map(|slot| &mut slot.parts) {
                part.path = Path::new(folder).join(part.path.file_name().unwrap());
            }
            copy
        };
        let (original, moved) = (sample("a"), copy("b", "/elsewhere"));
        put(&journal, &original, Standing::Ready).await;
        let alike = |sample: &Sample| journal.alike(sample).unwrap().len();
        assert_eq!(alike(&moved), 0, "nothing of it was sent");
        journal.change(&original.id(), Record::taken).await.unwrap();
        assert_eq!((alike(&moved), alike(&original)), (1, 0), "others than itself");
        let mut larger = moved.clone();
        larger.slots[0].parts[0].fingerprint.size += 1;
        let mut renamed = moved.clone();
        renamed.slots[0].parts[0].path = "/elsewhere/other.fastq.gz".into();
        assert_eq!((alike(&larger), alike(&renamed)), (0, 0));
        journal.change(&original.id(), |record| record.must_wait("x".into(), None)).await.unwrap();
        assert_eq!(alike(&moved), 0);
    }
}
