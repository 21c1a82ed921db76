//! The papers of all runs that were read, each with the look that it had then.
//!
//! No I/O: whoever reads hands in what came of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::papers::{Papers, ReadPaper};
use super::picture::below;
use super::sieve::Reason;
use crate::sample::Fingerprint;

/// By path below the watch.
#[derive(Debug, Default)]
pub(super) struct Drawer {
    read: BTreeMap<PathBuf, (Fingerprint, Arc<ReadPaper>)>,
    /// Those that could not be read, and why.
    trouble: BTreeMap<PathBuf, String>,
}

impl Drawer {
    /// Whether the paper was read when it looked like this.
    pub fn knows(&self, path: &Path, look: Fingerprint) -> bool {
        self.read.get(path).is_some_and(|(known, _)| *known == look)
    }

    /// Takes in what was read of a paper that looked like this, or why it could not be read.
    pub fn take(&mut self, path: PathBuf, look: Fingerprint, paper: Result<ReadPaper, String>) {
        match paper {
            Ok(paper) => {
                self.trouble.remove(&path);
                self.read.insert(path, (look, Arc::new(paper)));
            }
            Err(why) => {
                self.read.remove(&path);
                self.trouble.insert(path, why);
            }
        }
    }

    /// Of what is gone, nothing is kept.
    pub fn forget(&mut self, path: &Path) {
        self.read.remove(path);
        self.trouble.remove(path);
    }

    /// Those that have to be tried again.
    pub fn in_trouble(&self) -> Vec<PathBuf> {
        self.trouble.keys().cloned().collect()
    }

    /// The papers of a run as they look now, and, where one of them lists files, what is left out of the run.
    pub fn of_run<'a>(
        &self,
        folder: &'a Path,
        look: impl Fn(&Path) -> Option<Fingerprint>,
        left_out: impl Iterator<Item = (&'a PathBuf, &'a Reason)>,
    ) -> Papers {
        let below_run = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_owned();
        let unread = below(&self.trouble, folder).map(|(path, why)| (below_run(path), why.clone()));
        let mut papers = Papers { unread: unread.collect(), ..Papers::default() };
        let as_now = below(&self.read, folder).filter(|(path, (known, _))| look(path) == Some(*known));
        papers.read.extend(as_now.map(|(path, (_, paper))| (below_run(path), paper.clone())));
        if papers.read.values().all(|paper| paper.expected.is_none()) {
            return papers;
        }
        for (path, reason) in left_out.filter(|(_, reason)| **reason != Reason::LinkNowhere) {
            if matches!(reason, Reason::IgnoredFolder | Reason::LinkToFolder) {
                papers.unseen.push(below_run(path));
            }
            papers.left_out.insert(below_run(path));
        }
        papers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Expected;

    #[test]
    fn a_paper_counts_as_long_as_it_looks_as_it_did_and_what_failed_is_tried_again() {
        let mut drawer = Drawer::default();
        let look = |size| Fingerprint { size, modified_ns: 1 };
        let (path, folder) = (Path::new("run/list"), Path::new("run"));
        let papers = |drawer: &Drawer, size| {
            let ignored = PathBuf::from("run/InterOp");
            let left_out = [(&ignored, &Reason::IgnoredFolder)];
            drawer.of_run(folder, |_| Some(look(size)), left_out.into_iter())
        };
        drawer.take(path.to_owned(), look(1), Err("stale file handle".to_owned()));
        assert_eq!((drawer.in_trouble(), drawer.knows(path, look(1))), (vec![path.to_owned()], false));
        assert_eq!(papers(&drawer, 1).unread[Path::new("list")], "stale file handle");

        let paper = ReadPaper { outcome: None, expected: Some(Expected::Nothing), reads: None };
        drawer.take(path.to_owned(), look(1), Ok(paper));
        assert!(drawer.in_trouble().is_empty() && drawer.knows(path, look(1)) && !drawer.knows(path, look(2)));
        let now = papers(&drawer, 1);
        assert!(now.read.contains_key(Path::new("list")) && now.unread.is_empty());
        assert_eq!(now.unseen, [Path::new("InterOp")]);
        assert!(papers(&drawer, 2).read.is_empty());
        drawer.forget(path);
        assert!(papers(&drawer, 1).read.is_empty());
    }
}
