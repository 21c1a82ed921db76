//! What can go wrong between a request and its answer, told apart by what the caller may do next.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use super::mask::Mask;

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

/// The kinds of refusal that a caller tells apart: the reference client's exception classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 401.
    Authentication,
    /// 400.
    BadRequest,
    /// 422: a kind of bad request. The request was well formed, but its values were refused.
    Unprocessable,
    /// A 400 of the annotation endpoint that lists what is wrong with the sheet, or what it warns of: a kind of bad
    /// request. See [`ApiError::annotation_problems`].
    AnnotationValidation,
    /// 404.
    NotFound,
    /// Any other status.
    Other,
}

impl ErrorKind {
    /// Whether the request itself was at fault: [`ErrorKind::BadRequest`] and the kinds under it.
    pub fn is_bad_request(self) -> bool {
        matches!(self, Self::BadRequest | Self::Unprocessable | Self::AnnotationValidation)
    }
}

/// One complaint about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The field, or a JSON pointer into the request, or the name of a parameter.
    pub field: Option<String>,
    /// A word for programs: what kind of complaint it is.
    pub code: Option<String>,
    /// The same for people.
    pub message: String,
}

/// An error answer, in whichever of its four shapes the server sent it (endpoint notes and client, 2026-11-24).
#[derive(Debug, Clone)]
pub struct ApiError {
    /// Method and path of the request.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The server's own words on one line.
    pub message: String,
    /// What is wrong with which part of the request, where the server says it.
    pub details: Vec<Detail>,
    /// A word for programs: what kind of error it is. One that is not known stands for the status in general.
    pub code: Option<String>,
    /// The body as it was sent, when it was JSON.
    pub body: Option<Value>,
    /// Whether the body is an RFC 9457 problem document.
    pub is_problem: bool,
    /// Whether the body is a page for people: a proxy's, not the server's own answer.
    pub is_page: bool,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {} to {})", self.message, self.status, self.request)
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// What kind of refusal it is, by its status and, for an annotation sheet, its body.
    pub fn kind(&self) -> ErrorKind {
        match self.status {
            400 if self.annotation_problems().is_some() => ErrorKind::AnnotationValidation,
            400 => ErrorKind::BadRequest,
            401 => ErrorKind::Authentication,
            404 => ErrorKind::NotFound,
            422 => ErrorKind::Unprocessable,
            _ => ErrorKind::Other,
        }
    }

    /// What the annotation endpoint finds wrong with a sheet (`validation`: final) or warns of (`warnings`: it can be
    /// told to ignore them), one object each; `None` for every other error.
    pub fn annotation_problems(&self) -> Option<&[Value]> {
        let body = self.body.as_ref().filter(|_| self.request.ends_with("/upload/annotation"))?;
        let body = body.get("error").unwrap_or(body);
        ["validation", "warnings"].iter().find_map(|key| Some(body.get(*key)?.as_array()?.as_slice()))
    }

    /// The RFC 9457 problem document as it was sent, with the members that this client does not read; `None` when the
    /// body is none.
    pub fn problem(&self) -> Option<&Value> {
        self.body.as_ref().filter(|_| self.is_problem)
    }

    /// Reads an error answer out of its status, headers and body; nothing of it repeats what `mask` hides.
    pub(super) fn new(request: &str, status: StatusCode, headers: &HeaderMap, body: &[u8], mask: &Mask) -> Self {
        let mut error = Self {
            request: request.to_owned(),
            status: status.as_u16(),
            message: String::new(),
            details: Vec::new(),
            code: None,
            body: serde_json::from_slice(body).ok(),
            is_problem: header(headers, CONTENT_TYPE).is_some_and(|v| v.starts_with("application/problem+json")),
            is_page: header(headers, CONTENT_TYPE).is_some_and(|v| v.starts_with("text/html")),
            retry_after: header(headers, RETRY_AFTER).and_then(|value| retry_after(value, header(headers, DATE))),
        };
        match error.body.take() {
            Some(mut body) => {
                // Before anything is cut short: half a secret would not be known again.
                mask.hide_in(&mut body);
                if error.is_problem {
                    error.read_problem(&body);
                } else {
                    error.read_legacy(&body);
                }
                error.body = Some(body);
            }
            None => error.message = excerpt(status, &mask.hide(&String::from_utf8_lossy(body))),
        }
        error.message = sober(&error.message);
        error
    }

    fn read_problem(&mut self, body: &Value) {
        /// Every member is optional: a gateway's problem document may carry none of them.
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Problem {
            detail: Option<String>,
            title: Option<String>,
            code: Option<String>,
            errors: Vec<ProblemDetail>,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct ProblemDetail {
            pointer: Option<String>,
            parameter: Option<String>,
            code: Option<String>,
            detail: Option<String>,
        }
        let problem = Problem::deserialize(body).unwrap_or_default();
        self.code = problem.code;
        self.details = problem
            .errors
            .into_iter()
            .map(|error| Detail {
                field: error.pointer.or(error.parameter),
                code: error.code,
                message: error.detail.unwrap_or_default(),
            })
            .collect();
        self.message = problem.detail.or(problem.title).unwrap_or_else(|| one_line(body));
    }

    fn read_legacy(&mut self, body: &Value) {
        let error = body.get("error").unwrap_or(body);
        let Some(message) = error.get("message") else {
            self.message = one_line(error);
            return;
        };
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        self.message = one_line(message);
        self.code = text(error, "code");
        self.details = error
            .get("details")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|detail| Detail {
                field: text(detail, "field"),
                code: text(detail, "code"),
                message: text(detail, "message").unwrap_or_default(),
            })
            .collect();
        if !self.details.is_empty() {
            let details: Vec<_> = self.details.iter().map(Detail::to_string).collect();
            self.message = format!("{}: {}", self.message, details.join("; "));
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A message as it can be shown and kept: on one line, without control characters, and of a bearable length.
fn sober(message: &str) -> String {
    const LONGEST: usize = 1000;
    let words: Vec<_> =
        message.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let mut line = words.join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// `{"field": ["message", …]}` reads `field: message`, and `[{"row": 3, "message": …}]` reads `row 3: message`; what has no
/// such form is shown as JSON.
fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) if !fields.is_empty() => {
            let fields: Vec<_> = fields.iter().map(|(field, value)| format!("{field}: {}", one_line(value))).collect();
            fields.join("; ")
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<_> = items.iter().map(one_line).collect();
            items.join(", ")
        }
        Value::Array(items) => match items.iter().map(complaint).collect::<Option<Vec<_>>>() {
            Some(complaints) => complaints.join("; "),
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// A message with its place, each member of which is a word.
fn complaint(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    let message = fields.get("message")?.as_str()?;
    let place = fields.iter().filter(|(field, _)| *field != "message").map(|(field, value)| match value {
        Value::String(text) => Some(format!("{field} {text}")),
        Value::Number(number) => Some(format!("{field} {number}")),
        _ => None,
    });
    let place = place.collect::<Option<Vec<_>>>()?.join(", ");
    Some(if place.is_empty() { message.to_owned() } else { format!("{place}: {message}") })
}

/// A proxy's page gives its status and a short excerpt, without the markup.
fn excerpt(status: StatusCode, text: &str) -> String {
    const LONGEST: usize = 200;
    let mut plain = String::new();
    let mut in_tag = false;
    for c in text.chars().take(8 * 1024) {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                plain.push(' ');
            }
            c if !in_tag => plain.push(c),
            _ => {}
        }
    }
    let plain: Vec<_> = plain.split_whitespace().collect();
    let mut plain = plain.join(" ");
    if let Some((cut, _)) = plain.char_indices().nth(LONGEST) {
        plain.truncate(cut);
        plain.push('…');
    }
    let reason = status.canonical_reason().unwrap_or("unknown status");
    if plain.is_empty() || plain.contains(reason) && plain.len() < reason.len() + 8 {
        reason.to_owned()
    } else {
        format!("{reason}: {plain}")
    }
}

/// `Retry-After` in either of its forms: seconds, or an HTTP date. What that date is held against is the answer's own
/// date where it has one: this host's clock may be wrong.
fn retry_after(value: &str, answered: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let now = answered.and_then(date).unwrap_or_else(jiff::Timestamp::now);
    Some(Duration::try_from(date(value)?.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> ApiError {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        ApiError::new(
            "POST /upload",
            StatusCode::from_u16(status).unwrap(),
            &headers,
            body.as_bytes(),
            &Mask::of(&["t0ken"]),
        )
    }

    #[test]
    fn every_shape_of_error_gives_the_servers_own_words() {
        let json = |body| answer(400, "application/json", body).message;
        assert_eq!(json(r#"{"error": "No such type"}"#), "No such type");
        assert_eq!(
            json(r#"{"error": {"filename": ["Spaces in filename", "Too long"]}}"#),
            "filename: Spaces in filename, Too long"
        );
        assert_eq!(json(r#"{"filename": ["Spaces in filename"]}"#), "filename: Spaces in filename");
        assert_eq!(json(r#"{"validation": [{"row": 3, "message": "no name"}]}"#), "validation: row 3: no name");
        assert_eq!(
            json(r#"{"warnings": [{"message": "twice", "row": 3, "column": "name"}, {"message": "odd"}]}"#),
            "warnings: column name, row 3: twice; odd"
        );
        assert_eq!(json(r#"{"warnings": [{"row": 3}]}"#), r#"warnings: [{"row":3}]"#);

        let envelope = answer(
            422,
            "application/json",
            r#"{"error": {"code": "invalid", "message": "Invalid", "details": [{"field": "name", "code": "x", "message": "taken"}]}}"#,
        );
        assert_eq!(envelope.message, "Invalid: name: taken");
        assert_eq!(envelope.code.as_deref(), Some("invalid"));
        assert_eq!(envelope.kind(), ErrorKind::Unprocessable);
        assert!(envelope.kind().is_bad_request());

        let problem = answer(
            404,
            "application/problem+json; charset=utf-8",
            r#"{"title": "Not found", "code": "gone", "errors": [{"pointer": "/name", "detail": "unknown"}]}"#,
        );
        assert_eq!((problem.message.as_str(), problem.code.as_deref()), ("Not found", Some("gone")));
        assert_eq!(problem.details[0].field.as_deref(), Some("/name"));
        assert_eq!(answer(500, "application/problem+json", "{}").message, "{}");
    }

    #[test]
    fn a_proxys_page_is_cut_to_an_excerpt() {
        let page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>nginx</body></html>";
        assert_eq!(answer(502, "text/html", page).message, "Bad Gateway: 502 Bad Gateway 502 Bad Gateway nginx");
        assert_eq!(answer(504, "text/html", "").message, "Gateway Timeout");
        assert!(answer(503, "text/html", &"x".repeat(100_000)).message.len() < 300);
    }

    #[test]
    fn an_answer_does_not_repeat_the_secret_of_its_request() {
        let long = format!("{} t0ken", "x".repeat(993));
        for (content_type, body) in [
            ("application/json", r#"{"error": {"t0ken": ["bad token t0ken", "dDBrZW4="]}}"#.to_owned()),
            (
                "application/json",
                r#"{"error": {"message": "t0ken", "code": "t0ken", "details": [{"message": "\u00740ken"}]}}"#
                    .to_owned(),
            ),
            (
                "application/problem+json",
                r#"{"title": "t0ken", "errors": [{"pointer": "/t0ken", "code": "t0ken"}]}"#.to_owned(),
            ),
            ("application/json", format!(r#"{{"error": "{long}"}}"#)),
            ("text/html", format!("<p>{}</p>", &long[800..])),
        ] {
            let error = answer(401, content_type, &body);
            let told = format!("{error} {error:?}");
            assert!(!told.contains("t0k") && !told.contains("dDBr") && told.contains("[sec"), "{told}");
        }
    }

    #[test]
    fn retry_after_comes_as_seconds_or_as_a_date() {
        // Far from what any clock says.
        let now = Some("Sat, 24 Nov 2001 10:00:00 GMT");
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sat, 24 Nov 2001 10:01:00 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Sat, 24 Nov 2001 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        // Without a date of the answer, this host's clock must do.
        assert_eq!(retry_after("Sat, 24 Nov 2001 10:01:00 GMT", None), Some(Duration::ZERO));
        assert_eq!(retry_after("Sat, 24 Nov 2001 10:01:00 GMT", Some("noon")), Some(Duration::ZERO));
    }

    #[test]
    fn a_wrong_clock_does_not_change_when_to_come_back() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "Sat, 24 Nov 2001 10:00:07 GMT".parse().unwrap());
        headers.insert(DATE, "Sat, 24 Nov 2001 10:00:00 GMT".parse().unwrap());
        let error = ApiError::new("POST /upload", StatusCode::SERVICE_UNAVAILABLE, &headers, b"", &Mask::of(&[]));
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }

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
