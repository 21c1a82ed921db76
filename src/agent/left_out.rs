//! What is remembered of the files of a run that nobody wants: some by name, the rest by number.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::journal::LeftOut;

/// So many left out files of a run are kept by name.
const KEPT: usize = 500;
/// Of so many reasons for the rest it is told.
const REASONS_TOLD: usize = 3;

/// What of a run's left out files is kept by name; of the rest, how many there are and why. A run can have millions of
/// files that are nobody's reads.
pub(super) fn kept(mut left_out: Vec<(PathBuf, String)>, folder: &Path) -> Vec<LeftOut> {
    let rest = left_out.split_off(left_out.len().min(KEPT));
    let mut kept: Vec<_> = left_out.into_iter().map(|(path, reason)| LeftOut { path, reason }).collect();
    if !rest.is_empty() {
        let more = rest.len();
        // Rounded, so that a run that grows by the second is not written down by the second.
        let more = if more > 1000 { format!("more than {}", more / 1000 * 1000) } else { "up to 1000".to_owned() };
        let reason = format!("and {more} further files: {}", reasons(&rest));
        kept.push(LeftOut { path: folder.to_owned(), reason });
    }
    kept
}

/// The reasons for which files are left out, the most frequent first.
fn reasons(left_out: &[(PathBuf, String)]) -> String {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    left_out.iter().for_each(|(_, reason)| *times.entry(reason).or_default() += 1);
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_by_key(|(_, times)| Reverse(*times));
    let told: Vec<&str> = times.iter().take(REASONS_TOLD).map(|(reason, _)| *reason).collect();
    let others = if times.len() > REASONS_TOLD { ", or other reasons" } else { "" };
    told.join(", or ") + others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_by_name_is_told_with_its_reasons() {
        let files = |reason: &str, n: usize| {
            (0..n).map(|n| (PathBuf::from(format!("/w/run/{reason}/{n}")), reason.to_owned())).collect::<Vec<_>>()
        };
        let last = |left_out: &[Vec<(PathBuf, String)>]| kept(left_out.concat(), Path::new("/w/run")).pop().unwrap();
        assert_eq!(kept(files("a", 500), Path::new("/w/run")).len(), 500);
        let left_out = last(&[files("none", 500), files("failed reads", 1)]);
        assert_eq!(
            (left_out.path, left_out.reason.as_str()),
            ("/w/run".into(), "and up to 1000 further files: failed reads")
        );
        let left_out = last(&[files("none", 510), files("failed reads", 2000), files("a marker", 1)]);
        assert_eq!(left_out.reason, "and more than 2000 further files: failed reads, or none, or a marker");
        let left_out = last(&["a", "b", "c", "d"].map(|reason| files(reason, 501)));
        assert_eq!(left_out.reason, "and more than 1000 further files: b, or c, or d, or other reasons");
    }
}
