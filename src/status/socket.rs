//! The door for the commands: HTTP over `agent.sock` in the state folder, since the journal admits one process.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;

use super::snapshot::Snapshot;

const NAME: &str = "agent.sock";

/// Why the running agent could not be asked, or its socket not be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("cannot listen on {}: {source}", path.display())]
    Listen { path: PathBuf, source: std::io::Error },
    /// It answered that it cannot do what was asked.
    #[error("the running agent cannot do that: {reason}")]
    Refused { reason: String },
    /// It answered that it knows no such sample.
    #[error("{reason}")]
    Unknown { reason: String },
    #[error("cannot ask the running agent through {}: {reason}", path.display())]
    Ask { path: PathBuf, reason: String },
}

/// The socket of a state folder by a path that is short enough, however deep the folder lies: the kernel takes no
/// more than 107 bytes. The open folder keeps the path valid.
fn short_path(state_dir: &Path) -> std::io::Result<(File, PathBuf)> {
    let folder = File::open(state_dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
    Ok((folder, path))
}

/// Makes the socket, for its owner only; one that a killed agent left behind is replaced. Call it while holding the
/// state folder's lock.
pub(super) fn listen(state_dir: &Path) -> Result<UnixListener, SocketError> {
    let path = state_dir.join(NAME);
    let error = |source| SocketError::Listen { path: path.clone(), source };
    let (_folder, short) = short_path(state_dir).map_err(error)?;
    match fs::remove_file(&short) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(error(source)),
        _ => {}
    }
    let listener = UnixListener::bind(&short).map_err(error)?;
    fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).map_err(error)?;
    Ok(listener)
}

/// A way to the process that holds a state folder.
pub struct Socket {
    path: PathBuf,
    client: reqwest::Client,
    _folder: File,
}

impl Socket {
    /// Prepares to ask; whoever holds the folder by then is asked.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub fn open(state_dir: &Path) -> Result<Self, SocketError> {
        let path = state_dir.join(NAME);
        let error = |reason: String| SocketError::Ask { path: path.clone(), reason };
        let (folder, short) = short_path(state_dir).map_err(|e| error(e.to_string()))?;
        let client = reqwest::Client::builder()
            .unix_socket(short)
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|e| error(e.to_string()))?;
        Ok(Self { path, client, _folder: folder })
    }

    /// Asks for the status.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn status(&self) -> Result<Snapshot, SocketError> {
        self.get("/status").await
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, SocketError> {
        self.ask(self.client.get(url(path))).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, SocketError> {
        self.ask(self.client.post(url(path)).json(body)).await
    }

    /// The same where the answer takes longer.
    pub(super) async fn post_for<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        longest: Duration,
    ) -> Result<T, SocketError> {
        self.ask(self.client.post(url(path)).json(body).timeout(longest)).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, SocketError> {
        let error = |reason: String| SocketError::Ask { path: self.path.clone(), reason };
        let answer = request.send().await.map_err(|e| error(root(&e)))?;
        if answer.status().is_success() {
            return answer.json().await.map_err(|e| error(root(&e)));
        }
        let status = answer.status();
        let reason = answer.text().await.unwrap_or_default();
        match status.as_u16() {
            404 => Err(SocketError::Unknown { reason }),
            422 => Err(SocketError::Refused { reason }),
            _ => Err(error(format!("{status} {reason}"))),
        }
    }
}

/// The host is not looked up: the socket decides who is asked.
fn url(path: &str) -> String {
    format!("http://localhost{path}")
}

fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
