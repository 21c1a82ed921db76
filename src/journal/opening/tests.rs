use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::super::claims::existing;
use super::super::decision::{Order, Verb};
use super::super::form::sample_key;
use super::super::tests::{all, asking, begin, open, put, sample, sending, sent, state, state_dir, until, upload};
use super::super::{Blocker, Inspection, Journal, LeftOut, Record, Upload, inspect};
use super::*;
use crate::observation::{Moment, Observation};
use crate::sample::{Finding, Fingerprint, Sample, Standing as Assembled};

/// Takes a sample as far as its last chunk.
async fn intend(journal: &Journal, sample: &Sample) {
    begin(journal, sample).await;
    advance(journal, sample, upload(sending())).await;
    advance(journal, sample, upload(asking())).await;
}

async fn advance(journal: &Journal, sample: &Sample, to: Upload) {
    journal.change(&sample.id(), |record| record.advanced(to)).await.unwrap();
}

async fn finish(journal: &Journal, sample: &Sample) {
    journal.change(&sample.id(), |record| record.done(sent())).await.unwrap();
}

fn seen(existing: bool) -> Option<Observation> {
    let fingerprint = Fingerprint { size: 3, modified_ns: 4 };
    Some(Observation { fingerprint, since: Moment { boot: 1, at: Duration::ZERO }, look: 0, existing })
}

/// A journal with a sample in each place that matters, and a first start.
async fn facility(dir: &tempfile::TempDir) {
    let journal = open(dir);
    let files = [("old", true), ("older", true), ("new", false)];
    let files: Vec<_> = files.map(|(name, existing)| (PathBuf::from(name), seen(existing))).into();
    journal.observe("miseq", &files, Some(&"baseline")).await.unwrap();
    put(&journal, &sample("queued"), Assembled::Ready).await;
    begin(&journal, &sample("begun")).await;
    advance(&journal, &sample("begun"), upload(sending())).await;
    intend(&journal, &sample("done")).await;
    finish(&journal, &sample("done")).await;
    intend(&journal, &sample("asking")).await;
    intend(&journal, &sample("doubt")).await;
    let block = |record: Record| record.blocked("look".into(), Blocker::Upload);
    journal.change(&sample("doubt").id(), block).await.unwrap();
    intend(&journal, &sample("refused")).await;
    advance(&journal, &sample("refused"), upload(sending())).await;
}

/// What the facility must have after its store was lost: what it sent, and what it may have sent.
#[track_caller]
fn is_made_anew(journal: &Journal) {
    assert_eq!(state(journal, &sample("done")), State::Done { sent: sent() });
    assert_eq!(state(journal, &sample("asking")), State::Queued { upload: Some(upload(asking())) });
    assert_eq!(state(journal, &sample("doubt")), State::Blocked { reason: "look".into(), by: Blocker::Doubt });
    assert_eq!(all(journal).len(), 3, "the rest is assembled anew");
    assert_eq!(journal.baseline::<String>("miseq").unwrap().as_deref(), Some("baseline"));
    let mut files: Vec<_> = journal.observations("miseq").unwrap().into_iter().collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let files: Vec<_> = files.iter().map(|(path, seen)| (path.to_str().unwrap(), seen.existing)).collect();
    assert_eq!(files, [("old", true), ("older", true)]);
}

fn set_aside_in(dir: &tempfile::TempDir) -> usize {
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("journal.damaged-")).count()
}

fn inspected(dir: &tempfile::TempDir) -> Inspection {
    inspect(dir.path()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[tokio::test]
async fn a_whole_journal_is_opened_without_a_word() {
    let dir = state_dir();
    facility(&dir).await;
    let before = all(&open(&dir));
    for _ in 0..2 {
        assert_eq!(
            inspected(&dir),
            Inspection { receipts: 9, done: 1, intended: 2, samples: Some(6), ..Inspection::default() }
        );
        let journal = open(&dir);
        assert_eq!((journal.notices(), all(&journal)), (&[][..], before.clone()));
    }
    let journal = open(&dir);
    assert!(inspected(&dir).in_use);
    assert_eq!(inspected(&dir).findings, Vec::<String>::new());
    drop(journal);
    assert_eq!(set_aside_in(&dir), 0);
}

#[tokio::test]
async fn what_is_gone_is_made_anew_from_the_receipts() {
    let dir = state_dir();
    facility(&dir).await;
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    assert_eq!(inspected(&dir).findings, ["the journal is gone; the next start makes it anew"]);
    let journal = open(&dir);
    is_made_anew(&journal);
    assert_eq!(journal.notices().len(), 1);
    assert!(journal.notices()[0].contains("1 samples are on Flow, 2 more may be"), "{:?}", journal.notices());
    drop(journal);
    assert_eq!((open(&dir).notices().len(), set_aside_in(&dir)), (0, 0), "once");
    assert_eq!(inspected(&dir).findings, Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_lost_any_single_record_that_counts_is_set_aside() {
    let files = ["old", "older"].map(|file| super::super::form::file_key("miseq", Path::new(file)));
    let samples = ["done", "asking", "doubt"].map(|name| [sample_key, state_key].map(|key| key(&sample(name).id())));
    let mut keys: Vec<Vec<Vec<u8>>> = files.map(|key| vec![key]).into();
    keys.push(vec![super::super::form::watch_key("miseq")]);
    keys.extend(samples.clone().map(|keys| keys.into()));
    // A sample without its state cannot even be read.
    keys.extend(samples.map(|[_, state]| vec![state]));
    for keys in keys {
        let dir = state_dir();
        facility(&dir).await;
        {
            let store = Store::open(&dir.path().join("journal")).unwrap();
            let mut writes = Writes::default();
            keys.iter().for_each(|key| writes.remove(key.clone()));
            store.commit(&writes).unwrap();
        }
        assert_eq!(inspected(&dir).findings.len(), 1, "{keys:?}");
        let journal = open(&dir);
        is_made_anew(&journal);
        assert_eq!((journal.notices().len(), set_aside_in(&dir)), (1, 1), "{keys:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_in_the_store_is_damage() {
    for bytes in [&b""[..], b"\x01{", b"\x01{\"first_seen\":7}"] {
        let dir = state_dir();
        facility(&dir).await;
        super::super::tests::overwrite(dir.path(), state_key(&sample("queued").id()), bytes);
        is_made_anew(&open(&dir));
        assert_eq!(set_aside_in(&dir), 1);
    }
}

#[tokio::test]
async fn an_older_copy_of_the_store_is_noticed() {
    let dir = state_dir();
    facility(&dir).await;
    copy(&dir.path().join("journal"), &dir.path().join("copy"));
    {
        let journal = open(&dir);
        for name in ["late", "later"] {
            intend(&journal, &sample(name)).await;
            finish(&journal, &sample(name)).await;
        }
    }
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    fs::rename(dir.path().join("copy"), dir.path().join("journal")).unwrap();
    let journal = open(&dir);
    for name in ["done", "late", "later"] {
        assert_eq!(state(&journal, &sample(name)).name(), "done");
    }
    assert_eq!((journal.notices().len(), set_aside_in(&dir)), (1, 1));
}

/// Between the two halves of a commit: the receipts have it, the store does not.
#[tokio::test]
async fn a_commit_that_was_cut_off_is_finished() {
    type Step = fn(&Journal, Sample) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;
    let steps: [(&str, Step); 3] = [
        ("queued", |journal, sample| Box::pin(async move { intend(journal, &sample).await })),
        ("done", |journal, sample| {
            Box::pin(async move {
                journal.change(&sample.id(), Record::taken).await.unwrap();
                finish(journal, &sample).await;
            })
        }),
        ("blocked", |journal, sample| {
            Box::pin(async move {
                journal.change(&sample.id(), Record::taken).await.unwrap();
                let block = |record: Record| record.blocked("look".into(), Blocker::Upload);
                journal.change(&sample.id(), block).await.unwrap();
            })
        }),
    ];
    let dir = state_dir();
    facility(&dir).await;
    for (expected, step) in steps {
        copy(&dir.path().join("journal"), &dir.path().join("copy"));
        let sample = sample(if expected == "queued" { "queued" } else { "asking" });
        let sample = if expected == "blocked" { super::super::tests::sample("queued") } else { sample };
        step(&open(&dir), sample.clone()).await;
        fs::remove_dir_all(dir.path().join("journal")).unwrap();
        fs::rename(dir.path().join("copy"), dir.path().join("journal")).unwrap();
        // The copy lacks the commits before the last one, too.
        Mark::remove(&dir.path().join("journal")).unwrap();
        assert_eq!((inspected(&dir).findings.len(), inspected(&dir).remarks.len()), (0, 1), "{expected}");
        let journal = open(&dir);
        assert_eq!((journal.notices(), state(&journal, &sample).name()), (&[][..], expected));
        assert_eq!(journal.baseline::<String>("miseq").unwrap().as_deref(), Some("baseline"));
    }
    assert_eq!(set_aside_in(&dir), 0);
}

#[tokio::test]
async fn receipts_that_lost_any_of_their_lines_are_added_to_and_the_store_stays() {
    let whole = state_dir();
    facility(&whole).await;
    let before = all(&open(&whole));
    let text = fs::read_to_string(whole.path().join(RECEIPTS)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for kept in 0..lines.len() {
        let dir = state_dir();
        copy(whole.path(), dir.path());
        match kept {
            0 => fs::remove_file(dir.path().join(RECEIPTS)).unwrap(),
            kept => fs::write(dir.path().join(RECEIPTS), lines[..kept].join("\n") + "\n").unwrap(),
        }
        assert!(!inspected(&dir).findings.is_empty(), "{kept}");
        let journal = open(&dir);
        assert_eq!((journal.notices().len(), all(&journal)), (1, before.clone()), "{kept}");
        drop(journal);
        assert_eq!(inspected(&dir).findings, Vec::<String>::new(), "{kept}");
        assert_eq!(open(&dir).notices(), &[] as &[String]);
        // They are as good as the lost ones.
        fs::remove_dir_all(dir.path().join("journal")).unwrap();
        let journal = open(&dir);
        assert_eq!(state(&journal, &sample("done")), State::Done { sent: sent() });
        assert_eq!(state(&journal, &sample("asking")), State::Queued { upload: Some(upload(asking())) });
        assert_eq!(journal.observations("miseq").unwrap().len(), 2, "{kept}");
    }
}

#[tokio::test]
async fn a_state_folder_of_the_version_without_receipts_gets_them_without_an_alarm() {
    let dir = state_dir();
    facility(&dir).await;
    fs::remove_file(dir.path().join(RECEIPTS)).unwrap();
    {
        let store = Store::open(&dir.path().join("journal")).unwrap();
        let mut writes = Writes::default();
        writes.remove(head_key());
        store.commit(&writes).unwrap();
    }
    assert_eq!((inspected(&dir).findings.len(), inspected(&dir).remarks.len()), (0, 1));
    assert_eq!(open(&dir).notices(), &[] as &[String]);
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    is_made_anew(&open(&dir));
}

#[tokio::test]
async fn an_altered_receipt_is_told_and_stops_nothing() {
    let dir = state_dir();
    facility(&dir).await;
    let text = fs::read_to_string(dir.path().join(RECEIPTS)).unwrap();
    fs::write(dir.path().join(RECEIPTS), text.replacen("/data/miseq", "/data/mi5eq", 1)).unwrap();
    assert_eq!(inspected(&dir).findings.len(), 1);
    let journal = open(&dir);
    assert!(journal.notices()[0].contains("is not as it was written: line"), "{:?}", journal.notices());
    assert_eq!((all(&journal).len(), set_aside_in(&dir)), (6, 0));
}

#[tokio::test]
async fn what_is_withdrawn_does_not_come_back() {
    let dir = state_dir();
    {
        let journal = open(&dir);
        intend(&journal, &sample("a")).await;
        let block = |record: Record| record.blocked("look".into(), Blocker::Upload);
        journal.change(&sample("a").id(), block).await.unwrap();
        // A person wants it sent anew.
        let order = Order {
            verb: Verb::Retry,
            samples: vec![sample("a").id()],
            runs: Vec::new(),
            who: "alice".into(),
            reason: None,
            name: None,
        };
        journal.decide(order).await.unwrap();
    }
    assert_eq!(open(&dir).notices(), &[] as &[String]);
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    let journal = open(&dir);
    let record = journal.record(&sample("a").id()).unwrap().unwrap();
    assert_eq!(
        (record.state.name(), record.history.decisions.len()),
        ("waiting", 1),
        "the decision stays, the doubt not"
    );
}

#[tokio::test]
async fn an_export_makes_an_empty_state_folder_what_the_first_one_was() {
    let (dir, other) = (state_dir(), state_dir());
    facility(&dir).await;
    let journal = open(&dir);
    let text = serde_json::to_string(&journal.export().unwrap()).unwrap();
    let import = || serde_json::from_str::<super::super::Export>(&text).unwrap().import(other.path());
    assert_eq!(import().unwrap(), 6);
    let imported = open(&other);
    assert_eq!((all(&imported), imported.notices().len()), (all(&journal), 0));
    assert_eq!(existing(&imported.shared.store, "miseq").unwrap(), existing(&journal.shared.store, "miseq").unwrap());
    assert_eq!(imported.baseline::<String>("miseq").unwrap().as_deref(), Some("baseline"));
    drop(imported);
    assert_eq!(inspected(&other).findings, Vec::<String>::new());
    assert!(matches!(import(), Err(JournalError::NotEmpty { .. })));
    fs::remove_dir_all(other.path().join("journal")).unwrap();
    assert!(matches!(import(), Err(JournalError::NotEmpty { .. })), "its receipts are a history");
    is_made_anew(&open(&other));
}

/// Every byte of sled's files may be another.
#[tokio::test]
async fn a_store_with_flipped_bytes_or_without_its_end_is_read_whole_or_set_aside() {
    let whole = state_dir();
    facility(&whole).await;
    let before = all(&open(&whole));
    let db = fs::read(whole.path().join("journal/db")).unwrap();
    let used = db.iter().rposition(|byte| *byte != 0).unwrap();
    let mut aside = 0;
    for n in 0..10 {
        let at = used * n / 10 + n;
        for cut in [false, true] {
            let dir = state_dir();
            copy(whole.path(), dir.path());
            let mut bytes = db.clone();
            match cut {
                true => bytes.truncate(at),
                false => bytes[at..(at + 64).min(db.len())].iter_mut().for_each(|byte| *byte ^= 0xa5),
            }
            fs::write(dir.path().join("journal/db"), bytes).unwrap();
            let journal = open(&dir);
            match set_aside_in(&dir) {
                0 => {
                    let kept = all(&journal);
                    let counts = |record: &&Record| Claim::of(record).is_some();
                    assert!(kept.iter().filter(counts).eq(before.iter().filter(counts)), "at {at}, cut: {cut}");
                }
                _ => {
                    is_made_anew(&journal);
                    aside += 1;
                }
            }
        }
    }
    assert!(aside > 0, "no damage was noticed");
}

/// A page that nobody needs before the agent has been at work for a while must not end it then, at every start anew.
#[tokio::test]
async fn a_spoiled_page_is_found_when_the_store_is_opened_not_later() {
    let (live, whole) = (state_dir(), state_dir());
    facility(&live).await;
    let journal = open(&live);
    let files: Vec<_> = (0..5000).map(|n| (PathBuf::from(format!("a run/file {n}")), seen(false))).collect();
    for files in files.chunks(500) {
        journal.observe("novaseq", files, Some(&"baseline")).await.unwrap();
    }
    for n in 0..40 {
        put(&journal, &sample(&format!("waiting {n}")), Assembled::Ready).await;
    }
    // As two kills leave it, one after the other: what is closed well is read whole at the next start anyway.
    let killed = state_dir();
    copy(live.path(), killed.path());
    let again = open(&killed);
    copy(killed.path(), whole.path());
    drop(again);
    let db = fs::read(whole.path().join("journal/db")).unwrap();
    let used = db.iter().rposition(|byte| *byte != 0).unwrap();
    let mut aside = 0;
    for n in 0..24 {
        let at = used * n / 24;
        let dir = state_dir();
        copy(whole.path(), dir.path());
        let mut bytes = db.clone();
        bytes[at..(at + 4096).min(db.len())].fill(0x5a);
        fs::write(dir.path().join("journal/db"), bytes).unwrap();
        let journal = open(&dir);
        let seen = journal.observations("novaseq").unwrap_or_else(|error| panic!("at {at} of {used}: {error}"));
        assert!(all(&journal).len() >= 3);
        match set_aside_in(&dir) {
            0 => assert_eq!(seen.len(), 5000, "at {at} of {used}"),
            _ => aside += 1,
        }
    }
    assert!(aside > 0, "no damage was noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_is_waited_for_and_fails_nobody() {
    // ENOSPC, EROFS, EDQUOT, EIO.
    let disks = [(28, "make room"), (30, "mount it for writing"), (122, "make room"), (5, "check the disk")];
    futures_util::future::join_all(disks.map(|(code, remedy)| waits_for_a_disk(code, remedy))).await;
}

async fn waits_for_a_disk(code: i32, remedy: &str) {
    let dir = state_dir();
    let journal = open(&dir);
    put(&journal, &sample("before"), Assembled::Ready).await;
    let failing = &journal.shared.store.faults.commit;
    failing.store(code, SeqCst);
    let writing = tokio::spawn({
        let journal = journal.clone();
        async move { put(&journal, &sample("meanwhile"), Assembled::Ready).await }
    });
    let trouble = until("trouble", || journal.trouble()).await;
    assert!(trouble.reason.contains(remedy), "{trouble:?}");
    assert_eq!(all(&journal).len(), 1, "reading goes on");
    assert!(!writing.is_finished());
    failing.store(0, SeqCst);
    assert_eq!(writing.await.unwrap().len(), 1);
    assert_eq!((journal.trouble(), all(&journal).len()), (None, 2));
    drop(journal);
    assert_eq!(all(&open(&dir)).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_read_is_waited_for_and_fails_nobody() {
    let dir = state_dir();
    let journal = open(&dir);
    put(&journal, &sample("a"), Assembled::Ready).await;
    journal.shared.store.faults.get.store(5, SeqCst);
    let taking = tokio::spawn({
        let journal = journal.clone();
        async move { journal.take_next(None, None).await }
    });
    let trouble = until("trouble", || journal.trouble()).await;
    assert!(trouble.reason.contains("cannot read the journal") && trouble.reason.contains("check the disk"));
    assert!(!taking.is_finished());
    journal.shared.store.faults.get.store(0, SeqCst);
    assert_eq!(taking.await.unwrap().unwrap().unwrap().sample, sample("a"));
    assert_eq!(journal.trouble(), None);
}

/// While the store is shut, those who read directly are told what passes by itself, and those who write or must not fail
/// wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_again_is_waited_for_and_fails_nobody() {
    let dir = state_dir();
    let journal = open(&dir);
    let [before, meanwhile] = ["before", "meanwhile"].map(sample);
    put(&journal, &before, Assembled::Ready).await;
    let left_out = || [LeftOut { path: PathBuf::from("/data/miseq/run1/x"), reason: "why".into() }];
    journal.set_left_out("miseq", "run1", &left_out()).await.unwrap();
    let faults = &journal.shared.store.faults;
    faults.commit.store(5, SeqCst);
    faults.reopen.store(5, SeqCst);
    let writing = tokio::spawn({
        let (journal, meanwhile) = (journal.clone(), meanwhile.clone());
        async move { put(&journal, &meanwhile, Assembled::Ready).await }
    });
    let refused = until("a store that is shut", || journal.record(&before.id()).err()).await;
    assert!(refused.is_passing(), "{refused}");
    assert!(refused.to_string().contains("could not be opened again so far; check the disk"), "{refused}");
    assert!(journal.records().next().unwrap().unwrap_err().is_passing());
    faults.commit.store(0, SeqCst);

    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move {
            // The same again: it is read, and nothing written.
            journal.set_left_out("miseq", "run1", &left_out()).await?;
            journal.clear_left_out("miseq").await?;
            journal.readable().await
        }
    });
    let trouble = until("what is tried in vain", || {
        journal.trouble().filter(|trouble| trouble.reason.contains("cannot open the journal"))
    });
    trouble.await;
    assert!(!writing.is_finished() && !waiting.is_finished());
    faults.reopen.store(0, SeqCst);
    assert_eq!(writing.await.unwrap().len(), 1);
    waiting.await.unwrap().unwrap();
    assert_eq!((journal.trouble(), all(&journal).len(), journal.left_out().unwrap()), (None, 2, Vec::new()));
    drop(journal);
    assert_eq!(all(&open(&dir)).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_closed_in_the_midst_of_trouble_and_finishes_its_commit_at_the_next_start() {
    let dir = state_dir();
    let journal = open(&dir);
    begin(&journal, &sample("a")).await;
    advance(&journal, &sample("a"), upload(sending())).await;
    journal.shared.store.faults.commit.store(28, SeqCst);
    let writing = tokio::spawn({
        let journal = journal.clone();
        async move { journal.change(&sample("a").id(), |record| record.advanced(upload(asking()))).await }
    });
    until("trouble", || journal.trouble()).await;
    // Whoever waits is dropped at the end.
    writing.abort();
    let _ = writing.await;
    let (close, closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(journal);
        close.send(())
    });
    closed.recv_timeout(Duration::from_secs(60)).expect("nobody waits for the disk any more");
    let journal = open(&dir);
    assert_eq!(state(&journal, &sample("a")), State::Queued { upload: Some(upload(asking())) });
    assert_eq!(journal.notices(), &[] as &[String]);
}

#[tokio::test]
async fn a_store_that_lost_its_end_is_set_aside_even_if_no_receipt_tells_of_it() {
    let dir = state_dir();
    facility(&dir).await;
    let (journal_dir, older) = (dir.path().join("journal"), dir.path().join("older"));
    // Opening writes what was interrupted; from here on it is chunks alone, of which no receipt speaks.
    drop(open(&dir));
    copy(&journal_dir, &older);
    let journal = open(&dir);
    journal.change(&sample("begun").id(), Record::taken).await.unwrap();
    advance(&journal, &sample("begun"), upload(sending())).await;
    drop(journal);
    fs::remove_dir_all(&journal_dir).unwrap();
    copy(&older, &journal_dir);
    assert_eq!(inspected(&dir).findings.len(), 1);

    let journal = open(&dir);
    is_made_anew(&journal);
    assert_eq!((journal.notices().len(), set_aside_in(&dir)), (1, 1), "{:?}", journal.notices());
    drop(journal);
    assert_eq!(open(&dir).notices(), &[] as &[String], "it is whole from then on");
}

#[tokio::test]
async fn a_first_look_after_a_loss_is_in_no_receipt_so_that_a_kill_in_its_midst_does_not_make_the_rest_late() {
    let dir = state_dir();
    facility(&dir).await;
    let (journal_dir, before) = (dir.path().join("journal"), dir.path().join("before"));
    fs::remove_dir_all(&journal_dir).unwrap();
    drop(open(&dir));
    copy(&journal_dir, &before);
    let receipts = || fs::read(dir.path().join(RECEIPTS)).unwrap();
    let said = receipts();
    put(&open(&dir), &sample("queued"), Assembled::Ready).await;
    assert!(receipts() == said);

    // Killed before the look was in the store.
    fs::remove_dir_all(&journal_dir).unwrap();
    fs::rename(&before, &journal_dir).unwrap();
    Mark::remove(&journal_dir).unwrap();
    let journal = open(&dir);
    let finding =
        Finding { sample: sample("queued"), standing: Assembled::Ready, is_existing: false, in_ending_run: true };
    journal.assembled(vec![finding.clone()]).await.unwrap();
    assert_eq!(state(&journal, &sample("queued")), State::Queued { upload: None });
    let late = Finding { sample: sample("late"), ..finding };
    journal.assembled(vec![late]).await.unwrap();
    assert_eq!(state(&journal, &sample("late")).name(), "held", "that one is new");
}
