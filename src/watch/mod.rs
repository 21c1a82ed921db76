//! The watch: turns a watched folder into views of its runs, the first step on the data's way
//! (watch → settle → assemble → journal → upload → flow).
//!
//! It owns the question what lies under a watched folder, since when each file is as it is, which files make a run,
//! and whether the run is complete. The scan is the truth; events only make it sooner. It touches an instrument's
//! folders with `stat` and `readdir`, reads of their files no more than what says how a run ended and what it has, and
//! writes nothing. It refuses to know of manifests, of the journal and of uploads.

mod baseline;
mod complete;
mod drawer;
mod events;
mod glance;
mod ground;
mod news;
mod papers;
mod parts;
mod picture;
mod quiet;
mod reading;
mod root;
mod run_folder;
mod scan;
mod scope;
mod session;
mod settings;
mod settle;
mod sieve;
mod stated;
mod summaries;
mod task;
mod view;

pub use glance::Glance;
pub use news::{Baseline, LEFT_OUT_LIMIT, LeftOut, News, Outage, PathText, Remembered};
pub use parts::{Part, Parts, Patience, Unsettled, Word};
pub use run_folder::{RunByEntries, RunFolders};
pub use settings::{Completion, Condition, Existing, Folder, FolderCompletion, Ignore, Marker, Mode, Paper, Settings};
pub use sieve::{Sifted, outside_runs, sift};
pub use stated::Stated;
pub use task::{Error, look_once, run};
pub use view::{FileView, Reads, RunView, Verdict};
