//! What can go wrong between a request and its answer, told apart by what the caller may do next.

use std::path::PathBuf;
use std::{fmt, io};

use super::api_error::{ApiError, ErrorKind};

pub(super) const TIME_RAN_OUT: &str = "the time for it ran out";
/// What to do about a 404 to a log-in or to the question who we are.
pub const NO_API_THERE: &str = "check flow.base_url: the address of a Flow server's API, which mostly ends in /api";

/// A request that did not bring what it was sent for.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the variants are documented, and their fields say what they are")]
pub enum Error {
    /// No connection was made, so nothing was sent: the request may be repeated, whatever it was.
    #[error("cannot reach Flow for {request}: {reason}; {}", obstacle.remedy())]
    Unreachable { request: String, reason: String, obstacle: Obstacle },
    /// The request left, or may have left, and no readable answer came. The server may have done its work.
    #[error("no answer to {request}: {reason}")]
    Lost {
        request: String,
        reason: String,
        /// Whether there was one, whole and in another form than was expected.
        is_answered: bool,
    },
    /// The server answered with an error.
    #[error(transparent)]
    Refused(#[from] Box<ApiError>),
    /// The credentials themselves are at fault, before any request.
    #[error(transparent)]
    Credentials(#[from] super::auth::CredentialsError),
    /// What was asked for cannot be asked for; nothing was sent.
    #[error("{reason}")]
    Invalid { reason: String },
    /// A local file is at fault.
    #[error(transparent)]
    File(#[from] FileError),
    /// What the server holds of an upload is not right, and sending again would not mend it.
    #[error(transparent)]
    Spoiled(#[from] super::upload::Spoiled),
    /// A last chunk left, and what became of it is not known: the files may be on Flow, or become so.
    #[error(
        "{source}; the last chunk of {what} had left, so it may be on Flow all the same: look there before it is sent \
         again"
    )]
    Unsettled {
        /// The sample's name, or the file's.
        what: String,
        /// What kept the client from asking what became of it.
        source: Box<Error>,
    },
    /// The client could not be built.
    #[error("cannot set up the HTTP client: {reason}; {remedy}")]
    Setup { reason: String, remedy: &'static str },
}

impl Error {
    /// The server's answer, when it gave one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Error::Refused(error) => Some(error),
            Error::Unsettled { source, .. } => source.api(),
            _ => None,
        }
    }

    /// What kind of refusal the server's answer is, when it gave one.
    ///
    /// ```
    /// # use flow_ingest::flow::{Error, ErrorKind};
    /// fn help(error: &Error) -> &'static str {
    ///     match error.kind() {
    ///         Some(ErrorKind::Authentication) => "log in again",
    ///         Some(ErrorKind::NotFound) => "check the id",
    ///         Some(kind) if kind.is_bad_request() => "check what you sent",
    ///         _ => "try again later",
    ///     }
    /// }
    /// ```
    pub fn kind(&self) -> Option<ErrorKind> {
        self.api().map(ApiError::kind)
    }

    /// The status of the server's answer, when it gave one.
    pub fn status(&self) -> Option<u16> {
        self.api().map(|error| error.status)
    }

    pub(super) fn lost(request: &str, reason: impl fmt::Display) -> Self {
        Error::Lost { request: request.to_owned(), reason: reason.to_string(), is_answered: false }
    }

    /// A success that cannot be read: of another form than was expected.
    pub(super) fn unreadable(request: &str, reason: impl fmt::Display) -> Self {
        let reason = format!("the answer cannot be read: {reason}");
        Error::Lost { request: request.to_owned(), reason, is_answered: true }
    }

    /// Sorts what reqwest reports: a connection that was never made, or an answer that never came.
    pub(super) fn from_reqwest(request: &str, error: &reqwest::Error) -> Self {
        let request = request.to_owned();
        let reason = root_cause(error);
        if error.is_connect() || error.is_builder() {
            let obstacle = Obstacle::among(error);
            let reason = match (obstacle, error.url().and_then(reqwest::Url::host_str)) {
                (Obstacle::Name, Some(host)) => format!("the name {host} does not resolve ({reason})"),
                (Obstacle::Certificate, Some(host)) => format!("the certificate of {host} is not taken ({reason})"),
                (Obstacle::Tls, Some(host)) => format!("{host} does not speak TLS as it should ({reason})"),
                _ => reason,
            };
            Error::Unreachable { request, reason, obstacle }
        } else if error.is_timeout() {
            Error::Lost { request, reason: TIME_RAN_OUT.to_owned(), is_answered: false }
        } else {
            Error::Lost { request, reason, is_answered: false }
        }
    }
}

/// What kept a connection from being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The network, or nobody listens there.
    Connection,
    /// The server's name, or the proxy's, does not resolve.
    Name,
    /// The server shows a certificate that this host does not trust, or that is not for this name or this time.
    Certificate,
    /// What answers there does not speak TLS, or not as it should.
    Tls,
}

impl Obstacle {
    /// What an error says of it, or one of its causes.
    fn among(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            match error.downcast_ref::<rustls::Error>() {
                Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                    return Self::Certificate;
                }
                Some(_) => return Self::Tls,
                None => {}
            }
            // Its type cannot be named.
            if error.to_string() == "dns error" {
                return Self::Name;
            }
            // An I/O error passes over what it wraps.
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            cause = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        Self::Connection
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Connection => "check the network, the proxy and flow.base_url",
            Self::Name => "check flow.base_url, the proxy's name, and the name server of this host (/etc/resolv.conf)",
            Self::Certificate => {
                "check this host's clock and flow.base_url, and install the certificate of the authority that signed \
                 it (package ca-certificates; one of your own: update-ca-certificates)"
            }
            Self::Tls => "check flow.base_url (https or http, and the port) and the proxy",
        }
    }
}

/// A local file that cannot be uploaded, or a download that cannot be written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the variants are documented, and their fields say what they are")]
pub enum FileError {
    /// It is not there, is no plain file, or may not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Its size or modification time is not what it was when its upload began, or it ends too soon.
    #[error("{} changed while it was uploaded; upload it when nobody writes to it any more", path.display())]
    Changed { path: PathBuf },
    /// The download has nowhere to go.
    #[error("cannot write {}: {source}", path.as_ref().map_or("the download".into(), |path| path.to_string_lossy()))]
    Unwritable {
        /// `None` for a writer of the caller's own.
        path: Option<PathBuf>,
        source: io::Error,
    },
    /// The checkpoint of an upload cannot be read or stored.
    #[error("cannot keep the checkpoint of the upload: {source}")]
    Checkpoint { source: io::Error },
}

/// The innermost cause: the layers above it repeat themselves and name the URL.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listener that answers in the plain, to whatever it is told.
    async fn plain() -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        address
    }

    async fn obstacle(url: &str) -> (Obstacle, String) {
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        match Error::from_reqwest("GET /me", &http.get(url).send().await.unwrap_err()) {
            ref error @ Error::Unreachable { obstacle, .. } => (obstacle, error.to_string()),
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn what_keeps_a_connection_from_being_made_is_told_apart() {
        let (tls, text) = obstacle(&format!("https://{}/api/me", plain().await)).await;
        assert!(tls == Obstacle::Tls && text.contains("127.0.0.1 does not speak TLS"), "{text}");
        // No name server is asked for a label of more than 63 letters.
        let (name, text) = obstacle(&format!("http://{}.invalid/api/me", "a".repeat(64))).await;
        assert!(name == Obstacle::Name && text.contains(".invalid does not resolve"), "{text}");
        let (connection, text) = obstacle("http://127.0.0.1:1/api/me").await;
        assert!(connection == Obstacle::Connection && text.contains("check the network"), "{text}");
    }

    #[test]
    fn a_certificate_that_is_not_taken_is_found_however_deep_it_lies() {
        use rustls::{CertificateError, Error as Tls};
        let deep = |error| io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        let expired = deep(Tls::InvalidCertificate(CertificateError::Expired));
        assert_eq!(Obstacle::among(&expired), Obstacle::Certificate);
        assert_eq!(Obstacle::among(&deep(Tls::DecryptError)), Obstacle::Tls);
        assert_eq!(Obstacle::among(&io::Error::other("no route")), Obstacle::Connection);
        assert!(Obstacle::Certificate.remedy().contains("clock"));
    }
}
