//! The client's settings: the reference client's five, with its names, defaults and meanings.

use std::time::Duration;

/// How the client behaves; [`Default`] gives the reference client's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Size of a file's first chunk in bytes; each further chunk is one byte longer. Default 1,000,000.
    pub chunk_size: u64,
    /// Whether uploads show progress bars, where stderr is a terminal. Default `true`.
    pub show_progress: bool,
    /// How often a request is repeated whose connection could not be made. Nothing was sent then, so this is safe
    /// for every method. Default 3.
    pub connection_retries: u32,
    /// Time that one request may take once it is connected; a chunk gets more when its size asks for it.
    /// Connecting has a limit of its own, fixed at 10 s. Default 60 s.
    pub request_timeout: Duration,
    /// How often a single chunk is repeated after a passing failure (timeout, 502, 503, 504). A file's last chunk is
    /// never repeated blindly, whatever this says. Default 3.
    pub upload_retries: u32,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            chunk_size: 1_000_000,
            show_progress: true,
            connection_retries: 3,
            request_timeout: Duration::from_secs(60),
            upload_retries: 3,
        }
    }
}
