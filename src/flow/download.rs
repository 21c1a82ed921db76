//! Downloads: a file's bytes, streamed, and counted.

use std::ops::Range;
use std::path::Path;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, RANGE};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::data::{Data, DataResource};
use super::error::{Error, FileError};
use super::raw::path_part;

impl DataResource<'_> {
    /// Streams a file's bytes into `to`, all of them or those of `range`, and flushes it. The file is what
    /// [`DataResource::get_data`] gave: its exact name is part of the address, and its size tells when all is there.
    /// Returns the number of bytes written. A server that gives no ranges is read from the start, without writing
    /// what lies outside.
    ///
    /// ```no_run
    /// # async fn example(client: flow_ingest::flow::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let data = client.data().get_data("788995297969977723").await?.ok_or("not ready")?;
    /// let mut first_bytes = Vec::new();
    /// client.data().download(&data, Some(0..1024), &mut first_bytes).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unreachable`] or [`Error::Refused`]; the server refuses everything with a bare 404. [`Error::Lost`]
    /// when the bytes stop coming for [`super::ClientConfig::request_timeout`], or are fewer or more than they should
    /// be: what was written then is incomplete. [`Error::Invalid`] for a range outside of the file, and
    /// [`Error::File`] when `to` cannot be written.
    pub async fn download(
        &self,
        data: &Data,
        range: Option<Range<u64>>,
        to: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<u64, Error> {
        let wanted = range.clone().unwrap_or(0..data.size);
        if wanted.start > wanted.end || wanted.end > data.size {
            let Range { start, end } = wanted;
            let reason = format!("bytes {start} to {end} are not within {}, which has {}", data.filename, data.size);
            return Err(Error::Invalid { reason });
        }
        let unwritable = |source| Error::File(FileError::Unwritable { path: None, source });
        if wanted.is_empty() {
            to.flush().await.map_err(unwritable)?;
            return Ok(0);
        }
        let path =
            format!("/downloads/{}/{}", path_part("data id", &data.id)?, path_part("file name", &data.filename)?);
        let request = format!("GET {path}");
        let mut answer = self.open(&path, range.is_some().then(|| wanted.clone())).await?;
        let mut at = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let start = answer.headers().get(CONTENT_RANGE).and_then(|value| range_start(value.to_str().ok()?));
                start.ok_or_else(|| Error::lost(&request, "the answer does not say which part of the file it is"))?
            }
            _ => 0,
        };
        if at > wanted.start {
            return Err(Error::lost(&request, format!("the answer begins at byte {at}, not at {}", wanted.start)));
        }
        let mut written = 0;
        while let Some(piece) = self.0.next_piece(&request, &mut answer).await? {
            let skipped = wanted.start.saturating_sub(at).min(piece.len() as u64);
            let wanted_here = wanted.end.saturating_sub(at).min(piece.len() as u64);
            at += piece.len() as u64;
            if skipped < wanted_here {
                let piece = &piece[skipped as usize..wanted_here as usize];
                to.write_all(piece).await.map_err(unwritable)?;
                written += piece.len() as u64;
            }
            if range.is_some() && at >= wanted.end {
                break;
            }
        }
        to.flush().await.map_err(unwritable)?;
        if at < wanted.end || range.is_none() && at != data.size {
            return Err(Error::lost(&request, format!("{at} bytes came, not {}", wanted.end)));
        }
        Ok(written)
    }

    /// Downloads a file to `path`, which bears the name only once everything is there: until then the bytes lie in a
    /// temporary file beside it. A file of that name is replaced. Returns its size in bytes.
    ///
    /// # Errors
    /// As for [`DataResource::download`]; nothing is left behind.
    pub async fn download_to(&self, data: &Data, path: &Path) -> Result<u64, Error> {
        let unwritable = |source| FileError::Unwritable { path: Some(path.to_owned()), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = new_file(folder).map_err(unwritable)?;
        let mut file = tokio::fs::File::from_std(temporary.reopen().map_err(unwritable)?);
        let written = self.download(data, None, &mut file).await?;
        file.sync_all().await.map_err(unwritable)?;
        temporary.persist(path).map_err(|error| unwritable(error.error))?;
        Ok(written)
    }

    /// Asks for the bytes. An expired token is met with 404 here: `GET /me` tells, and refreshes it.
    async fn open(&self, path: &str, range: Option<Range<u64>>) -> Result<reqwest::Response, Error> {
        let range = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let prepare = |request: reqwest::RequestBuilder| match &range {
            Some(range) => request.header(RANGE, range),
            None => request,
        };
        let token = self.0.token_generation().await;
        match self.0.open(path, prepare).await {
            Err(error) if error.status() == Some(404) => {
                self.0.me().await?;
                if self.0.token_generation().await == token { Err(error) } else { self.0.open(path, prepare).await }
            }
            answer => answer,
        }
    }
}

/// A file beside the one it will become, open to whom the process's umask lets.
fn new_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let readable = std::fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".download-").permissions(readable).tempfile_in(folder)
}

/// Where the part begins that `Content-Range: bytes 5-9/20` speaks of.
fn range_start(value: &str) -> Option<u64> {
    value.trim().strip_prefix("bytes")?.trim().split_once('-')?.0.trim().parse().ok()
}
