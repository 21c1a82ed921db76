//! What the agent says of itself.

use std::net::SocketAddr;

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
