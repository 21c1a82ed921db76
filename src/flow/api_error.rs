//! The server's error answers: read out of each of their shapes, and what kind of refusal they are.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use super::mask::Mask;

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

/// `{"field": ["message", …]}` reads `field: message`, and `[{"row": 3, "message": …}]` reads `row 3: message`; what
/// has no such form is shown as JSON.
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
}
