//! How samples are uploaded.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Samples in flight at once. Default 4.
    pub concurrency: usize,
    /// How long a lost answer to a last chunk is asked about before the file is begun anew; `None` is `auto`:
    /// twice the request timeout, and more for larger files.
    pub final_wait: Option<Duration>,
    /// What becomes of a sample that is on Flow already.
    pub if_exists: IfExists,
    pub verify: Verify,
    /// By the watch's name. What belongs to no watch here, such as uploads by hand, goes up as it is.
    pub watches: Watches,
}

/// What becomes of a sample that is on Flow already, under the same name, in the same project and of the same account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfExists {
    /// It is taken as done where it is the same, and blocked where it is not.
    #[default]
    Adopt,
    /// It is blocked.
    Block,
}

/// How what Flow has is compared with what was sent, after a sample's last chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// By each file's size.
    Size,
    /// By each file's content as well: it is downloaded and hashed.
    Download,
}

/// What is known of each watch, by its name. Clones share it, so that it can be changed while samples are in flight.
#[derive(Debug, Clone, Default)]
pub struct Watches(Arc<RwLock<BTreeMap<String, WatchSettings>>>);

impl Watches {
    pub fn get(&self, watch: &str) -> Option<WatchSettings> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(watch).cloned()
    }

    /// Takes over what another table says.
    pub fn take_over(&self, other: &Self) {
        let new = other.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }
}

impl FromIterator<(String, WatchSettings)> for Watches {
    fn from_iter<I: IntoIterator<Item = (String, WatchSettings)>>(watches: I) -> Self {
        Self(Arc::new(RwLock::new(watches.into_iter().collect())))
    }
}

impl PartialEq for Watches {
    fn eq(&self, other: &Self) -> bool {
        let table = |watches: &Self| watches.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        table(self) == table(other)
    }
}

impl Eq for Watches {}

/// What the files of a watch must be before they become a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchSettings {
    /// Whether gzip files must be whole.
    pub check_gzip: bool,
    /// The watch's settle time: how long a file that is not whole may still be on its way follows from it.
    pub settle: Duration,
}

/// What a slot's bytes are checked for on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checks {
    pub gzip: bool,
    /// Whether checksum files beside the parts are compared.
    pub sidecars: bool,
}

/// A file that is copied arrives at this pace at least, in bytes a second.
const SLOWEST_COPY: u64 = 10_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 4,
            final_wait: None,
            if_exists: IfExists::default(),
            verify: Verify::Size,
            watches: Watches::default(),
        }
    }
}

impl Settings {
    pub(super) fn checks(&self, watch: &str) -> Checks {
        let watch = self.watches.get(watch);
        Checks { gzip: watch.as_ref().is_some_and(|watch| watch.check_gzip), sidecars: watch.is_some() }
    }

    /// The shortest time between two looks at files that are not whole.
    pub(super) fn look_again_after(&self, watch: &str) -> Duration {
        self.watches.get(watch).map_or(Duration::ZERO, |watch| watch.settle)
    }

    /// How long files of so many bytes may be not whole before a person is asked: a copy over SMB shows its full size
    /// from the start.
    pub(super) fn youth(&self, watch: &str, bytes: u64) -> Duration {
        (self.look_again_after(watch) * 10).max(Duration::from_secs(bytes / SLOWEST_COPY))
    }
}
