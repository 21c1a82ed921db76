//! The bounded pool, and one sample's way from its recorded state to done. Only this room holds both the journal and
//! the client.

mod checkpoint;
mod content;
mod disk;
mod disposition;
mod gate;
mod gzip;
mod parts;
mod pool;
mod settings;
mod sidecar;
mod transfer;
mod verify;

pub use disk::Disk;
pub use gate::{Closed, Gate, is_refusal};
pub use pool::Pool;
pub use settings::{Settings, Verify, WatchSettings};
