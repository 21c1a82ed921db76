//! The bounded pool, and one sample's way from its recorded state to done. Only this room holds both the journal and
//! the client.

mod adopt;
mod checkpoint;
mod disposition;
mod gate;
mod parts;
mod pool;
mod same;
mod settings;
mod transfer;

pub use gate::{Closed, Gate, is_refusal};
pub use parts::{PartError, hashes};
pub use pool::Pool;
pub use settings::{IfExists, Settings};
