//! The journal's values for the fuzzer; see [`crate::fuzzing`].

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::LeftOut;
use super::form::{StateValue, decode, encode};
use crate::observation::Observation;
use crate::sample::Sample;

/// The first byte chooses the kind, the others are the value with its version. What can be read is written as it reads.
pub(crate) fn record(bytes: &[u8]) {
    let Some((kind, value)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => reads_back::<Sample, _>(value, |sample| (sample.id(), sample.clone())),
        1 => reads_back::<StateValue, _>(value, |value| (value.first_seen, value.state.clone())),
        2 => reads_back::<Observation, _>(value, |observation| *observation),
        _ => reads_back::<Vec<LeftOut>, _>(value, Clone::clone),
    }
}

fn reads_back<T: Serialize + DeserializeOwned, V: PartialEq + Debug>(bytes: &[u8], view: impl Fn(&T) -> V) {
    match decode::<T>("key", bytes) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(value) => {
            let again = decode::<T>("key", &encode(&value)).expect("what was written can be read");
            assert_eq!(view(&value), view(&again));
        }
    }
}
