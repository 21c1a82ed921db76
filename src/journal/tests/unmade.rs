//! What was once made of files and is made of them no more.

use super::*;

#[tokio::test]
async fn what_was_never_sent_is_forgotten_when_its_files_belong_to_others_now() {
    let dir = state_dir();
    let journal = open(&dir);
    let [queued, waits, blocked, uploading, done, skipped, begun] =
        ["queued", "waits", "blocked", "uploading", "done", "skipped", "begun"].map(sample);
    begin(&journal, &begun).await;
    journal.change(&begun.id(), |record| record.advanced(upload(sending()))).await.unwrap();
    journal.change(&begun.id(), Record::put_back).await.unwrap();
    let has_turn = state(&journal, &begun);
    begin(&journal, &uploading).await;
    begin(&journal, &done).await;
    journal.change(&done.id(), |record| record.done(sent())).await.unwrap();
    put(&journal, &queued, Standing::Ready).await;
    put(&journal, &waits, waiting("x")).await;
    put(&journal, &blocked, Standing::Blocked("x".into())).await;
    put(&journal, &skipped, Standing::Skipped("x".into())).await;
    let ids = || [&queued, &waits, &blocked, &uploading, &done, &skipped, &begun].map(Sample::id).into();
    journal.unmade(ids(), |_| true).await.unwrap();
    let names: Vec<_> = all(&journal).into_iter().map(|record| record.sample.key.name).collect();
    assert_eq!(names, ["begun", "done", "uploading"]);
    assert_eq!(journal.tally().values().map(|tally| tally.samples).sum::<usize>(), 3);
    assert_eq!(state(&journal, &begun), has_turn, "it keeps the rule that it started with");
    // Those that are no longer there are nobody's business.
    journal.unmade(ids(), |_| true).await.unwrap();
    drop(journal);
    assert_eq!(all(&open(&dir)).len(), 3);
}

#[tokio::test]
async fn what_was_never_sent_waits_when_its_files_are_gone_and_is_ready_when_they_come_back() {
    let dir = state_dir();
    let journal = open(&dir);
    let a = sample("a");
    put(&journal, &a, Standing::Ready).await;
    journal.unmade(vec![a.id()], |_| false).await.unwrap();
    let gone = State::Waiting { reason: "its files are gone; it waits for them to come back".to_owned(), again: None };
    assert_eq!((state(&journal, &a), journal.take_next(None, None).await.unwrap()), (gone, None));
    put(&journal, &a, Standing::Ready).await;
    assert_eq!(state(&journal, &a), State::Queued { upload: None });
}

#[test]
fn what_is_on_its_way_or_settled_finds_out_by_itself() {
    let next_try = Moment { boot: 1, at: Duration::ZERO };
    let states = [
        held(),
        State::Queued { upload: Some(upload(asking())) },
        State::Uploading { upload: upload(sending()) },
        State::Retrying { upload: upload(asking()), next_try, error: "x".into() },
        State::Blocked { reason: "x".into(), by: Blocker::Upload },
        State::Done { sent: sent() },
        skipped(),
    ];
    for state in states {
        let record = record(state);
        assert!(!record.is_untouched());
        assert_eq!(record.clone().vanished(), record);
    }
}
