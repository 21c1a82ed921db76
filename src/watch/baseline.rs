//! The first start of a watch: what lay there before anybody asked for it to be uploaded.
//!
//! It is taken once, by the first full scan, and written down. It is taken again in one case only: when it was taken
//! on an empty folder that turns out to have been the place of a share that was not mounted.

use std::path::Path;

use crate::sample::Fingerprint;

use super::Existing;
use super::news::{Baseline, PathText};
use super::root::Root;
use super::scan::Found;

#[derive(Debug)]
pub(super) struct FirstStart {
    existing: Existing,
    baseline: Option<Baseline>,
    /// Whether the scan that is being taken in is the first start.
    now: bool,
    /// Device of the last full scan.
    device: Option<u64>,
    untold: bool,
}

impl FirstStart {
    pub fn new(existing: Existing, baseline: Option<Baseline>) -> Self {
        let device = baseline.as_ref().map(|baseline| baseline.device);
        Self { existing, baseline, now: false, device, untold: false }
    }

    /// Whether this root lies on another file system than the last one that was scanned.
    pub fn is_elsewhere(&self, root: &Root) -> bool {
        self.device.is_some_and(|device| device != root.device)
    }

    /// Begins to take in a full scan; true when the baseline changed.
    pub fn full_scan(&mut self, found: &Found, root: &Root, is_known: impl Fn(&Path) -> bool) -> bool {
        self.device = Some(root.device);
        let changed = match &mut self.baseline {
            None => true,
            // A file that is known from before shows that it is the same folder, whatever the device is called now.
            Some(was) if was.device != root.device && !found.files.is_empty() => {
                let was_unmounted = was.files == 0 && !was.network && !found.files.keys().any(|path| is_known(path));
                was.device = root.device;
                self.untold = true;
                was_unmounted
            }
            Some(_) => false,
        };
        if changed {
            self.now = true;
            self.untold = true;
            self.baseline = Some(Baseline {
                device: root.device,
                files: found.files.len() as u64,
                network: root.network,
                unread: Vec::new(),
            });
        }
        self.untold
    }

    /// Whether a file that is seen for the first time lay there at the first start.
    pub fn is_existing(&self, path: &Path, fingerprint: &Fingerprint) -> bool {
        let unread = self.baseline.iter().flat_map(|baseline| &baseline.unread);
        if !self.now && !unread.into_iter().any(|folder| path.starts_with(&folder.0)) {
            return false;
        }
        match &self.existing {
            Existing::Upload => false,
            Existing::Skip => true,
            Existing::Since(time) => i128::from(fingerprint.modified_ns) < time.as_nanosecond(),
        }
    }

    /// Ends to take in a scan: what of the first start is still unread; true when that changed.
    pub fn looked(&mut self, found: &Found) -> bool {
        let Some(baseline) = &mut self.baseline else { return false };
        let covered = |path: &Path| found.covered.iter().any(|covered| path.starts_with(covered));
        let was = |path: &Path| baseline.unread.iter().any(|folder| path.starts_with(&folder.0));
        let of_first_start = |path: &&std::path::PathBuf| self.now || was(path);
        let still: Vec<PathText> = found.unread.keys().filter(of_first_start).cloned().map(PathText).collect();
        let mut unread = baseline.unread.clone();
        unread.retain(|folder| !covered(&folder.0));
        unread.extend(still);
        self.now = false;
        if unread == baseline.unread {
            return false;
        }
        baseline.unread = unread;
        self.untold = true;
        true
    }

    /// The baseline, when it is a new one.
    pub fn untold(&self) -> Option<Baseline> {
        self.baseline.clone().filter(|_| self.untold)
    }

    pub fn told(&mut self) {
        self.untold = false;
    }
}
