//! Which requests a fault is about: chunks told apart by their fields, everything else by its path.

/// Which requests a fault is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// Every request.
    Any,
    /// Every chunk of every upload.
    Chunk,
    /// The first chunk of a file, be it the last as well.
    FirstChunk,
    /// A chunk that is neither a file's first nor its last.
    MiddleChunk,
    /// The last chunk of a file, be it the first as well.
    LastChunk,
    /// The last chunk of a sample's last file: the one that makes the sample.
    FinalChunk,
    /// `GET /data/<id>`.
    DataLookup,
    /// `GET /samples/<id>`.
    SampleLookup,
    /// `GET /samples/search`.
    SampleSearch,
    /// `GET /downloads/…`.
    Download,
    /// `GET /me`.
    Me,
    /// `POST /login`.
    Login,
    /// `GET /token`.
    Refresh,
    /// This method, and a path below the base URL that begins with this.
    Path(&'static str, String),
}

/// What is known of a request when it is decided whether it suffers a fault.
#[derive(Debug)]
pub struct Sight<'a> {
    pub(super) method: &'a str,
    /// Below the base URL.
    pub(super) path: &'a str,
    pub(super) fields: &'a [(String, String)],
}

impl Sight<'_> {
    fn is_true(&self, field: &str) -> bool {
        self.value(field) == Some("true")
    }

    /// Whether it is one of these.
    pub fn is(&self, on: &On) -> bool {
        on.matches(self)
    }

    /// The path below the base URL: `/upload/sample`.
    pub fn path(&self) -> &str {
        self.path
    }

    /// The first value of a form field.
    pub fn value(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }

    /// The path's last part, when the rest of it is `parent`.
    fn is_child_of(&self, parent: &str) -> bool {
        self.path.strip_prefix(parent).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl On {
    /// GETs of this path below the base URL and of everything beneath it: `On::get("/samples")`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::Path("GET", path.into())
    }

    /// POSTs to this path below the base URL and to everything beneath it: `On::post("/upload/annotation")`.
    pub fn post(path: impl Into<String>) -> Self {
        Self::Path("POST", path.into())
    }

    pub(super) fn matches(&self, sight: &Sight<'_>) -> bool {
        let get = sight.method == "GET";
        let chunk = sight.method == "POST" && (sight.path == "/upload" || sight.path.starts_with("/upload/"));
        let first = sight.value("data").is_none_or(str::is_empty);
        let last = sight.is_true("is_last");
        match self {
            Self::Any => true,
            Self::Chunk => chunk,
            Self::FirstChunk => chunk && first,
            Self::MiddleChunk => chunk && !first && !last,
            Self::LastChunk => chunk && last,
            Self::FinalChunk => chunk && last && sight.is_true("is_last_sample"),
            Self::DataLookup => get && sight.is_child_of("/data/"),
            Self::SampleLookup => get && sight.is_child_of("/samples/"),
            Self::SampleSearch => get && sight.path == "/samples/search",
            Self::Download => get && sight.path.starts_with("/downloads/"),
            Self::Me => get && sight.path == "/me",
            Self::Login => sight.method == "POST" && sight.path == "/login",
            Self::Refresh => get && sight.path == "/token",
            Self::Path(method, path) => sight.method == *method && sight.path.starts_with(path.as_str()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn chunk<'a>(fields: &'a [(String, String)]) -> Sight<'a> {
        Sight { method: "POST", path: "/upload/sample", fields }
    }

    pub(in super::super) fn fields(data: &str, is_last: bool, is_last_sample: bool) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        vec![
            pair("filename", "f".to_owned()),
            pair("data", data.to_owned()),
            pair("is_last", is_last.to_string()),
            pair("is_last_sample", is_last_sample.to_string()),
        ]
    }

    #[test]
    fn chunks_are_told_apart() {
        use On::{Chunk, FinalChunk, FirstChunk, LastChunk, MiddleChunk};
        let kinds = [Chunk, FirstChunk, MiddleChunk, LastChunk, FinalChunk];
        let matching = |fields: &[(String, String)]| kinds.clone().map(|on| on.matches(&chunk(fields)));
        assert_eq!(matching(&fields("", false, true)), [true, true, false, false, false]);
        assert_eq!(matching(&fields("7", false, true)), [true, false, true, false, false]);
        assert_eq!(matching(&fields("7", true, false)), [true, false, false, true, false]);
        assert_eq!(matching(&fields("7", true, true)), [true, false, false, true, true]);
        assert_eq!(matching(&fields("", true, true)), [true, true, false, true, true]);
    }

    #[test]
    fn paths_are_told_apart() {
        let matches = |on: On, method, path| on.matches(&Sight { method, path, fields: &[] });
        assert!(matches(On::DataLookup, "GET", "/data/7"));
        assert!(!matches(On::DataLookup, "GET", "/data/search") && !matches(On::DataLookup, "GET", "/data/types"));
        assert!(matches(On::SampleLookup, "GET", "/samples/7") && !matches(On::SampleLookup, "GET", "/samples/types"));
        assert!(matches(On::SampleSearch, "GET", "/samples/search") && matches(On::Me, "GET", "/me"));
        assert!(matches(On::Login, "POST", "/login") && matches(On::Refresh, "GET", "/token"));
        assert!(matches(On::Download, "GET", "/downloads/7/f") && !matches(On::Chunk, "GET", "/upload"));
        assert!(matches(On::get("/samples"), "GET", "/samples/types"));
        assert!(!matches(On::get("/samples"), "POST", "/samples/types"));
    }
}
