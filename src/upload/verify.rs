//! Whether Flow has what was sent, byte for byte: each file is downloaded once more and hashed, and nothing of it kept.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWrite;

use crate::flow::{Client, Error};

/// The SHA-256 of a file as Flow gives it out, in hexadecimal.
///
/// # Errors
/// As [`crate::flow::DataResource::download`]; a file that is not there is lost for now.
pub(super) async fn sha256_on_flow(client: &Client, data_id: &str) -> Result<String, Error> {
    let Some(data) = client.data().get_own_data(data_id).await? else {
        let request = format!("GET /data/{data_id}");
        return Err(Error::Lost {
            request,
            reason: "Flow does not show the file that was ready before".to_owned(),
            is_answered: false,
        });
    };
    let mut hasher = Hasher(Sha256::new());
    client.data().download(&data, None, &mut hasher).await?;
    Ok(HEXLOWER.encode(&hasher.0.finalize()))
}

/// Hashes what is written to it.
struct Hasher(Sha256);

impl AsyncWrite for Hasher {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.update(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
