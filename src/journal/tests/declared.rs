//! Samples that a sheet declares and that have no files yet, or none any more.

use super::*;

/// The sample as long as a sheet alone knows it.
fn declared(sample: &Sample) -> Sample {
    Sample { slots: Vec::new(), ..sample.clone() }
}

fn no_reads() -> Standing {
    Standing::Skipped("no reads".into())
}

/// What assembly finds in a run that tells of its end.
async fn find(journal: &Journal, sample: Sample, standing: Standing) -> Option<Record> {
    let id = sample.id();
    journal.assembled(vec![found_in_ending_run(sample, standing)]).await.unwrap();
    journal.record(&id).unwrap()
}

async fn state_of(journal: &Journal, sample: Sample, standing: Standing) -> &'static str {
    find(journal, sample, standing).await.map_or("unknown", |record| record.state.name())
}

async fn deliver(journal: &Journal, name: &str) {
    let sample = sample(name);
    begin(journal, &sample).await;
    journal.change(&sample.id(), |record| record.done(sent())).await.unwrap();
}

#[tokio::test]
async fn reads_that_come_later_are_taken_even_of_a_run_that_was_delivered() {
    let dir = state_dir();
    let journal = open(&dir);
    let [early, late] = ["early", "late"].map(sample);
    for sample in [&early, &late] {
        assert_eq!(state_of(&journal, declared(sample), waiting("no reads yet")).await, "waiting");
        assert_eq!(state_of(&journal, declared(sample), no_reads()).await, "skipped");
    }
    assert_eq!(state_of(&journal, early.clone(), Standing::Ready).await, "queued");
    deliver(&journal, "first").await;
    assert_eq!(state_of(&journal, declared(&late), no_reads()).await, "skipped", "nothing is new of it");
    assert_eq!(state_of(&journal, late, Standing::Ready).await, "queued", "a marker may overtake its files");
    let record = find(&journal, sample("unheard-of"), Standing::Ready).await.unwrap();
    assert!(matches!(record.state, State::Held { by: Holder::NewOutput, .. }), "{record:?}");
}

#[tokio::test]
async fn in_a_delivered_run_nothing_is_said_of_what_was_not_known_before() {
    let dir = state_dir();
    let journal = open(&dir);
    deliver(&journal, "first").await;
    let unknown = declared(&sample("unknown"));
    let foreseen = journal.foresee(found_in_ending_run(unknown.clone(), no_reads())).unwrap();
    assert_eq!(foreseen, None);
    assert_eq!(state_of(&journal, unknown, no_reads()).await, "unknown");
    assert_eq!(state_of(&journal, declared(&sample("first")), no_reads()).await, "done", "its run was cleared");
}

#[tokio::test]
async fn a_sample_whose_files_are_gone_waits_for_them_whatever_a_sheet_declares() {
    let dir = state_dir();
    let journal = open(&dir);
    let sample = sample("a");
    assert_eq!(state_of(&journal, sample.clone(), Standing::Ready).await, "queued");
    let record = find(&journal, declared(&sample), no_reads()).await.unwrap();
    assert_eq!(record.sample, sample, "what it was is not forgotten");
    assert!(
        matches!(&record.state, State::Waiting { reason, .. } if reason.contains("its files are gone")),
        "{record:?}"
    );
    assert_eq!(state_of(&journal, sample, Standing::Ready).await, "queued");
}

#[tokio::test]
async fn what_is_no_longer_declared_is_forgotten_unless_a_person_spoke_of_it() {
    let dir = state_dir();
    let journal = open(&dir);
    let [skipped, blocked, waits, decided] =
        ["skipped", "blocked", "waits", "decided"].map(|name| declared(&sample(name)));
    find(&journal, skipped.clone(), no_reads()).await;
    find(&journal, blocked.clone(), Standing::Blocked("no reads".into())).await;
    find(&journal, waits.clone(), waiting("no reads yet")).await;
    find(&journal, decided.clone(), no_reads()).await;
    journal.decide(decisions::order(Verb::Release, &decided)).await.unwrap();
    let ids = [&skipped, &blocked, &waits, &decided].map(Sample::id);
    journal.unmade(ids.to_vec(), |_| false).await.unwrap();
    let left: Vec<String> = all(&journal).into_iter().map(|record| record.sample.key.name).collect();
    assert_eq!(left, ["decided"]);
}
