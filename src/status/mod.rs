//! What the agent says of itself: one snapshot, shown as JSON, as a table, over HTTP and over the state folder's
//! socket. It reads the journal and changes nothing, but for the uploads by hand that come through the socket.

mod asked;
mod board;
mod door;
mod serve;
mod snapshot;
mod socket;
mod table;

use std::net::SocketAddr;

pub use asked::{Answer, Ask, Question, Refusal};
pub use board::Board;
pub use door::{HandedOver, Identity};
pub use serve::serve;
pub use snapshot::{
    Agent, ChangeStatus, Condition, ConditionKind, FileStatus, LeftOut, ReloadStatus, RuleTried, STATES, SampleStatus,
    Snapshot, VERSION, WatchStatus, as_timestamp,
};
pub use socket::{Socket, SocketError};
pub use table::{columns, render, warnings};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the status is served over HTTP; `None` turns it off. Default 127.0.0.1:9470.
    pub listen: Option<SocketAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9470))) }
    }
}
