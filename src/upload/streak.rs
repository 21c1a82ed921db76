//! What failed since Flow acknowledged a chunk last, all samples together: it tells the fault of one sample from one that
//! everybody would meet.

use std::collections::{HashMap, HashSet};

use super::disposition::Whose;
use crate::sample::SampleId;

/// So many in a row are not chance, or one sample's own.
const MOST: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Streak {
    /// Faults that have nothing to do with what was sent.
    common: usize,
    /// Samples that met a fault which may come from what was sent: each counts once, however often it is tried.
    doubtful: HashSet<SampleId>,
    /// Samples that met a 403.
    forbidden: HashSet<SampleId>,
    /// The same for each sample that has not got further since, whatever others did.
    refusals: HashMap<SampleId, Refusals>,
    /// Whether a chunk was acknowledged since the gate was opened.
    has_progressed: bool,
}

#[derive(Debug, Default)]
struct Refusals {
    times: usize,
    /// Whether another sample got further meanwhile.
    others_passed: bool,
}

/// What a 403 comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forbidden {
    /// It may pass.
    Again,
    /// It is about this sample alone.
    ThisSample,
    /// It is about everybody.
    Everybody,
}

impl Streak {
    /// Counts a fault of the server or the network; true when everybody would meet it.
    pub fn fault(&mut self, sample: &SampleId, whose: Whose) -> bool {
        match whose {
            Whose::Everybodys => return true,
            Whose::Servers => self.common += 1,
            Whose::Doubtful => drop(self.doubtful.insert(sample.clone())),
        }
        self.common + self.doubtful.len() >= MOST
    }

    /// Counts a 403. `others` is how many other samples are under way or wait for their turn: while there are enough to
    /// tell, nothing is blocked before one of them got through.
    pub fn forbidden(&mut self, sample: &SampleId, others: usize) -> Forbidden {
        self.forbidden.insert(sample.clone());
        if self.forbidden.len() >= MOST {
            return Forbidden::Everybody;
        }
        let refusals = self.refusals.entry(sample.clone()).or_default();
        refusals.times += 1;
        if refusals.times >= MOST && (refusals.others_passed || others + 1 < MOST) {
            self.refusals.remove(sample);
            return Forbidden::ThisSample;
        }
        Forbidden::Again
    }

    /// Flow acknowledged a chunk of a sample.
    pub fn acknowledged(&mut self, sample: &SampleId) {
        self.has_progressed = true;
        self.common = 0;
        self.doubtful.clear();
        self.forbidden.clear();
        self.refusals.remove(sample);
        self.refusals.values_mut().for_each(|refusals| refusals.others_passed = true);
    }

    /// The gate opens. What failed in a row is not forgotten: only a chunk shows that it is over.
    pub fn opened(&mut self) {
        self.has_progressed = false;
    }

    pub fn has_progressed(&self) -> bool {
        self.has_progressed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Kind, SampleKey};

    fn ids<const N: usize>() -> [SampleId; N] {
        std::array::from_fn(|n| {
            let (watch, run, name) = ("w".to_owned(), "r".to_owned(), n.to_string());
            SampleKey { kind: Kind::Data, watch, run, name }.id()
        })
    }

    #[test]
    fn the_third_fault_in_a_row_is_everybodys() {
        let [a, b] = ids();
        let mut streak = Streak::default();
        assert!(!streak.fault(&a, Whose::Servers) && !streak.fault(&a, Whose::Servers));
        streak.acknowledged(&b);
        assert!(!streak.fault(&a, Whose::Servers) && !streak.fault(&b, Whose::Servers));
        assert!(streak.fault(&a, Whose::Servers));
        streak.opened();
        assert!(streak.fault(&a, Whose::Servers), "it is not over before a chunk was acknowledged");
        assert!(!streak.has_progressed());
        streak.acknowledged(&a);
        assert!(!streak.fault(&a, Whose::Servers) && streak.has_progressed());
        assert!(streak.fault(&b, Whose::Everybodys), "nobody can connect");
    }

    #[test]
    fn what_may_be_one_samples_own_counts_once_a_sample() {
        let [a, b, c] = ids();
        let mut streak = Streak::default();
        assert!((0..20).all(|_| !streak.fault(&a, Whose::Doubtful)));
        assert!(!streak.fault(&b, Whose::Doubtful));
        assert!(streak.fault(&c, Whose::Doubtful));
    }

    #[test]
    fn a_403_is_one_samples_while_others_get_through_and_everybodys_when_none_does() {
        let [a, b, c] = ids();
        let mut streak = Streak::default();
        assert_eq!(streak.forbidden(&a, 5), Forbidden::Again);
        streak.acknowledged(&b);
        assert_eq!([streak.forbidden(&a, 5), streak.forbidden(&a, 5)], [Forbidden::Again, Forbidden::ThisSample]);

        let mut streak = Streak::default();
        // Others have not had their turn yet: nobody knows.
        assert!((0..9).all(|_| streak.forbidden(&a, 2) == Forbidden::Again));
        assert_eq!(streak.forbidden(&b, 2), Forbidden::Again);
        assert_eq!(streak.forbidden(&c, 2), Forbidden::Everybody);
        streak.opened();
        assert_eq!(streak.forbidden(&a, 2), Forbidden::Everybody, "at once, until something gets through");

        let mut streak = Streak::default();
        let alone = [(); 3].map(|()| streak.forbidden(&a, 0));
        assert_eq!(alone, [Forbidden::Again, Forbidden::Again, Forbidden::ThisSample]);
    }
}
