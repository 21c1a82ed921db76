//! The bounded pool, and one sample's way from its recorded state to done. Only this room holds both the journal and
//! the client.

mod account;
mod adopt;
mod checkpoint;
mod disposition;
mod gate;
mod keeper;
mod parts;
mod pool;
mod same;
mod settings;
mod streak;
mod transfer;

pub use account::{Account, LogInError};
pub use gate::{Closed, Gate};
pub use keeper::Keeper;
pub use parts::{PartError, hashes};
pub use pool::Pool;
pub use settings::{IfExists, Settings};
