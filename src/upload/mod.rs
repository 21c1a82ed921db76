//! The bounded pool, and one sample's way from its recorded state to done. Only this room holds both the journal and
//! the client.

mod account;
mod adopt;
mod catalogue;
mod checkpoint;
mod content;
mod disk;
mod disposition;
mod gate;
mod gzip;
mod halt;
mod host;
mod keeper;
mod parts;
mod pool;
mod same;
mod settings;
mod sidecar;
mod streak;
mod transfer;
mod verify;

pub use account::{Account, LogInError};
pub use catalogue::{Catalogue, Checked};
pub use disk::Disk;
pub use gate::{Closed, Gate};
pub use keeper::Keeper;
pub use parts::{PartError, hashes};
pub use pool::{LONGEST_END, Pool};
pub use settings::{IfExists, Settings, Verify, WatchSettings, Watches};
