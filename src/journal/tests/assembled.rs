//! What the journal makes of what assembly found.

use super::*;

/// The sample as it would be with another file.
fn another(sample: &Sample) -> Sample {
    let mut other = sample.clone();
    other.slots[1].parts[0].fingerprint.size += 1;
    other
}

/// The sample as a changed manifest would have it.
fn retold(sample: &Sample) -> Sample {
    let mut other = sample.clone();
    let Target::Sample { organism, .. } = &mut other.target else { unreachable!() };
    *organism = Some("Mm".to_owned());
    other
}

/// The same values, taken from a sheet that was saved again.
fn from_another_sheet(sample: &Sample) -> Sample {
    let used = SheetUsed { path: "/data/miseq/run1/SampleSheet.csv".into(), sha256: "ab".into() };
    Sample { sheets: vec![used], ..sample.clone() }
}

fn after(state: State, sample: Sample, standing: Standing) -> Record {
    record(state).assembled(found(sample, standing), Circumstances::default())
}

#[test]
fn what_is_not_on_its_way_becomes_what_assembly_says() {
    let a = sample("a");
    let states = [
        State::Waiting { reason: "x".into(), again: None },
        State::Queued { upload: None },
        State::Blocked { reason: "x".into(), by: Blocker::Assembly },
        skipped(),
    ];
    for state in states {
        let ready = after(state.clone(), another(&a), Standing::Ready);
        assert_eq!((ready.sample, ready.state), (another(&a), State::Queued { upload: None }));
        let waits = after(state.clone(), a.clone(), waiting("for reads2"));
        assert_eq!(waits.state, State::Waiting { reason: "for reads2".into(), again: None });
        let blocked = after(state, a.clone(), Standing::Blocked("why".into()));
        assert_eq!(blocked.state, State::Blocked { reason: "why".into(), by: Blocker::Assembly });
    }
}

#[test]
fn a_sheet_that_says_the_same_in_other_bytes_starts_nothing_anew() {
    let begun = Upload { attempts: 1, ..Upload::default() };
    let refused = State::Blocked { reason: "x".into(), by: Blocker::Refusal };
    for state in [State::Queued { upload: Some(begun) }, refused] {
        let found = after(state.clone(), from_another_sheet(&sample("a")), Standing::Ready);
        assert_eq!(found.state, state);
        assert_eq!(after(state, retold(&sample("a")), Standing::Ready).state, State::Queued { upload: None });
    }
}

#[test]
fn files_that_are_not_whole_wait_for_their_next_look_until_they_change() {
    let a = sample("a");
    let moment = |seconds| Moment { boot: 1, at: Duration::from_secs(seconds) };
    let again = Again { at: moment(5), until: moment(9) };
    let waits = State::Waiting { reason: "x".into(), again: Some(again) };
    assert_eq!(after(waits.clone(), a.clone(), Standing::Ready).state, waits);
    assert_eq!(
        after(waits.clone(), a.clone(), waiting("for b")).state,
        State::Waiting { reason: "for b".into(), again: None }
    );
    assert_eq!(after(waits.clone(), another(&a), Standing::Ready).state, State::Queued { upload: None });
    let taken = record(waits).taken().unwrap();
    assert_eq!(taken.state.upload().unwrap().unsound_until, Some(again.until));
    let again = Again { at: moment(8), ..again };
    let waits = taken.must_wait("y".into(), Some(again)).unwrap();
    assert_eq!(waits.state, State::Waiting { reason: "y".into(), again: Some(again) });
}

#[test]
fn what_is_on_its_way_is_left_alone() {
    let a = sample("a");
    let next_try = Moment { boot: 1, at: Duration::ZERO };
    let states = [
        State::Held { reason: "x".into(), by: Holder::Person, upload: Some(upload(sending())) },
        State::Uploading { upload: upload(sending()) },
        State::Retrying { upload: upload(asking()), next_try, error: "x".into() },
    ];
    for state in states {
        for standing in [Standing::Ready, waiting("x"), Standing::Blocked("x".into())] {
            let record = after(state.clone(), another(&a), standing);
            assert_eq!((&record.sample, &record.state), (&a, &state));
        }
    }
}

#[test]
fn an_interrupted_upload_goes_on_for_as_long_as_it_is_the_same_sample() {
    let a = sample("a");
    let state = State::Queued { upload: Some(upload(sending())) };
    assert_eq!(after(state.clone(), a.clone(), Standing::Ready).state, state);
    // Files that have not settled again after a reboot are looked at by the upload itself.
    assert_eq!(after(state.clone(), a.clone(), waiting("x")).state, state);
    assert_eq!(after(state.clone(), retold(&a), waiting("the sheet has not settled")).state, state);
    let mut gone = a.clone();
    gone.slots.pop();
    assert_eq!(after(state.clone(), gone, waiting("for reads2")).state.name(), "waiting");
    for other in [another(&a), retold(&a)] {
        let record = after(state.clone(), other.clone(), Standing::Ready);
        assert_eq!((record.sample, record.state), (other, State::Queued { upload: None }));
    }
}

#[test]
fn what_is_between_two_tries_keeps_the_values_that_it_began_with() {
    let a = sample("a");
    let next_try = Moment { boot: 1, at: Duration::ZERO };
    let state = State::Retrying { upload: upload(sending()), next_try, error: "x".into() };
    let record = after(state.clone(), retold(&a), Standing::Ready);
    assert_eq!((&record.sample, &record.state), (&a, &state));
    let record = after(state, another(&a), Standing::Ready);
    assert_eq!((record.sample, record.state), (another(&a), State::Queued { upload: None }));
    let unbegun = State::Retrying { upload: Upload::default(), next_try, error: "x".into() };
    let record = after(unbegun, retold(&a), Standing::Ready);
    assert_eq!((record.sample, record.state), (retold(&a), State::Queued { upload: None }));
}

#[test]
fn an_upload_that_flow_may_have_made_a_sample_of_is_asked_about_whatever_became_of_its_files() {
    let a = sample("a");
    let mut abandoned = upload(sending());
    abandoned.files[1].abandoned = vec!["69".into()];
    for upload in [upload(asking()), upload(Stage::Ready { data_id: "72".into() }), abandoned] {
        let state = State::Queued { upload: Some(upload) };
        for other in [another(&a), retold(&a)] {
            for standing in [Standing::Ready, waiting("x"), Standing::Blocked("x".into())] {
                let record = after(state.clone(), other.clone(), standing);
                assert_eq!((&record.sample, &record.state), (&a, &state));
            }
        }
    }
}

#[test]
fn what_an_upload_blocked_is_queued_again_when_it_is_another_sample() {
    let a = sample("a");
    let state = State::Blocked { reason: "refused".into(), by: Blocker::Upload };
    assert_eq!(after(state.clone(), a.clone(), Standing::Ready).state, state);
    for other in [another(&a), retold(&a)] {
        let record = after(state.clone(), other.clone(), Standing::Ready);
        assert_eq!((record.sample, record.state), (other, State::Queued { upload: None }));
    }
}

#[tokio::test]
async fn only_what_became_another_is_written() {
    let dir = state_dir();
    let journal = open(&dir);
    let [a, b] = ["a", "b"].map(sample);
    let both = |standing: Standing| vec![found(a.clone(), standing), found(b.clone(), Standing::Ready)];
    let names = |records: Vec<Record>| records.into_iter().map(|r| r.sample.key.name).collect::<Vec<_>>();
    assert_eq!(names(journal.assembled(both(Standing::Ready)).await.unwrap().changed), ["a", "b"]);
    let first_seen = journal.record(&a.id()).unwrap().unwrap().first_seen;
    assert_eq!(names(journal.assembled(both(waiting("x"))).await.unwrap().changed), ["a"]);
    assert!(names(journal.assembled(both(waiting("x"))).await.unwrap().changed).is_empty());
    assert_eq!(journal.record(&a.id()).unwrap().unwrap().first_seen, first_seen);
    assert_eq!(journal.take_next(None, None).await.unwrap().unwrap().sample, b);
    assert_eq!(journal.take_next(None, None).await.unwrap(), None);
}
