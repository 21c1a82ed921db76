//! What the agent itself saw of a file, and when: the ground on which settling stands.
//!
//! Times here are moments since the machine's boot, never the wall clock: a clock that jumps a year settles
//! nothing and unsettles nothing. Each carries the boot's identity, so a moment that was written down before a
//! reboot is recognised and not compared.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sample::Fingerprint;

/// A point in time on this boot of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Identity of the boot: the first half of `/proc/sys/kernel/random/boot_id`.
    pub boot: u64,
    /// Since that boot, time asleep included (`CLOCK_BOOTTIME`).
    pub at: Duration,
}

impl Moment {
    /// Now, by the clock that no one can set.
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self { boot: boot_id(), at: Duration::new(time.tv_sec as u64, time.tv_nsec as u32) }
    }

    /// How long ago `earlier` was; `None` when it belongs to another boot, which says nothing about now.
    pub fn since(&self, earlier: &Moment) -> Option<Duration> {
        (self.boot == earlier.boot).then(|| self.at.saturating_sub(earlier.at))
    }
}

impl std::ops::Sub<Duration> for Moment {
    type Output = Moment;
    /// Ends at the boot.
    fn sub(self, by: Duration) -> Moment {
        Moment { at: self.at.saturating_sub(by), ..self }
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, by: Duration) -> Moment {
        Moment { at: self.at + by, ..self }
    }
}

/// The boot's identity; where the kernel does not tell it (a container without /proc), this process is its own
/// boot: what was observed before it started is then observed anew.
fn boot_id() -> u64 {
    static BOOT: OnceLock<u64> = OnceLock::new();
    *BOOT.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .and_then(|id| u64::from_str_radix(id.trim().replace('-', "").get(..16)?, 16).ok())
            .unwrap_or_else(rand::random)
    })
}

/// Opens a file for reading without waiting, should a pipe have been put in its place.
///
/// # Errors
/// As the kernel says.
pub fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    File::options().read(true).custom_flags(flags).open(path)
}

/// Which limit kept a file from being opened, and what to do about it; `None` when it was something else.
pub fn open_files_limit(error: &io::Error) -> Option<&'static str> {
    match rustix::io::Errno::from_raw_os_error(error.raw_os_error()?) {
        rustix::io::Errno::MFILE => Some(
            "this process has as many files open as it may; raise its limit (LimitNOFILE= in the service's unit, or \
             ulimit -n), or lower uploads.concurrency",
        ),
        rustix::io::Errno::NFILE => {
            Some("this host has as many files open as it may; raise fs.file-max, or see who holds them (lsof)")
        }
        _ => None,
    }
}

/// A file's look, and since when it has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub fingerprint: Fingerprint,
    /// When the agent first saw this fingerprint.
    pub since: Moment,
    /// The number of the look at the watch that found it so. Looks are numbered one after the other, over restarts and
    /// reboots, so that of two files it is known which came first, where one look did not find both.
    #[serde(default)]
    pub look: u64,
    /// Whether the file lay there at the watch's first start.
    pub existing: bool,
}

/// When a file came, for the order of two: by the look that found it, and within one look by when it was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coming {
    pub look: u64,
    /// The modification time, in nanoseconds since 1970. A writer can set it at will: it may raise a doubt, never lay one.
    pub modified_ns: i64,
}

impl Observation {
    pub fn coming(&self) -> Coming {
        Coming { look: self.look, modified_ns: self.fingerprint.modified_ns }
    }
}
