//! The `flow` section: where Flow is, who asks, and how.

use super::{FlowSettings, Reader};
use crate::flow::{Client, ClientConfig, CredentialSource, DEFAULT_BASE_URL, Error, Url, is_loopback};
use crate::yaml::Value;

/// The agent's own chunk size in bytes, `auto` in the config: far fewer requests than the reference client's.
const AUTO_CHUNK_SIZE: u64 = 8_000_000;

/// The largest chunk; each upload holds one in memory.
const LARGEST_CHUNK: u64 = 1_000_000_000;

const MOST_RETRIES: u64 = 1000;

impl Default for FlowSettings {
    fn default() -> Self {
        Self {
            base_url: DEFAULT_BASE_URL.to_owned(),
            allow_http: false,
            credentials: CredentialSource::Environment,
            client: ClientConfig { chunk_size: AUTO_CHUNK_SIZE, ..ClientConfig::default() },
            proxy: None,
        }
    }
}

impl FlowSettings {
    /// The client that the settings ask for, not yet logged in.
    ///
    /// # Errors
    /// When none can be built.
    pub fn client(&self) -> Result<Client, Error> {
        match &self.proxy {
            // What is meant for this machine alone would be handed to another, readable to all.
            Some(proxy) if !self.is_off_its_way(proxy) => {
                Client::with_proxy(&self.base_url, self.client.clone(), proxy)
            }
            _ => Client::new(&self.base_url, self.client.clone()),
        }
    }

    /// Whether a proxy would take requests away from this machine that are to stay on it.
    fn is_off_its_way(&self, proxy: &str) -> bool {
        let is_here = |url: &str| Url::parse(url).is_ok_and(|url| is_loopback(&url));
        is_here(&self.base_url) && !is_here(proxy)
    }
}

/// What is wrong with an address of Flow's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    #[error("expected an address such as https://app.flow.bio/api, without ? and #")]
    NotOne,
    #[error("a secret does not belong into an address; write it without user and password")]
    Secret,
    #[error("http:// would send the credentials readable to all; write https://, or allow it with {0}")]
    Readable(&'static str),
}

/// Checks an address of Flow's API that somebody typed; `https://`, or `http://` to this machine or where
/// `allow_http` says so. Without a slash at its end. `allow` names what would allow it.
///
/// # Errors
/// What is wrong with it.
pub fn parse_base_url(text: &str, allow_http: bool, allow: &'static str) -> Result<String, BaseUrlError> {
    let url = Url::parse(text).map_err(|_| BaseUrlError::NotOne)?;
    let has_more = url.query().is_some() || url.fragment().is_some();
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() || has_more {
        return Err(BaseUrlError::NotOne);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BaseUrlError::Secret);
    }
    if url.scheme() == "http" && !is_loopback(&url) && !allow_http {
        return Err(BaseUrlError::Readable(allow));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

impl Reader {
    pub(super) fn flow(&self, value: &Value) -> Option<FlowSettings> {
        let defaults = FlowSettings::default();
        let client = defaults.client;
        let mut map = value.map("a map with base_url and credentials")?;
        let allow_http = map.get("allow_http").map_or(Some(false), |value| value.boolean());
        let base_url = map.get("base_url").map_or(Some(defaults.base_url), |value| base_url(&value, allow_http));
        let credentials = match map.get("credentials") {
            Some(value) => self.credentials(&value),
            None => Some(CredentialSource::Environment),
        };
        let chunk_size = map.get("chunk_size").map_or(Some(AUTO_CHUNK_SIZE), |value| match value.as_text() {
            Some("auto") => Some(AUTO_CHUNK_SIZE),
            _ => value.size(LARGEST_CHUNK),
        });
        let connection_retries = map.get("connection_retries").map_or(Some(client.connection_retries), retries);
        let request_timeout = map.get("request_timeout").map_or(Some(client.request_timeout), |value| value.duration());
        let upload_retries = map.get("upload_retries").map_or(Some(client.upload_retries), retries);
        let show_progress = map.get("show_progress").map_or(Some(client.show_progress), |value| value.boolean());
        let proxy_value = map.get("proxy");
        let proxy = proxy_value.as_ref().map_or(Some(None), |value| proxy(value).map(Some));
        map.finish();
        let settings = FlowSettings {
            base_url: base_url?,
            allow_http: allow_http?,
            credentials: credentials?,
            client: ClientConfig {
                chunk_size: chunk_size?,
                show_progress: show_progress?,
                connection_retries: connection_retries?,
                request_timeout: request_timeout?,
                upload_retries: upload_retries?,
            },
            proxy: proxy?,
        };
        if let (Some(proxy), Some(value)) = (&settings.proxy, &proxy_value)
            && settings.is_off_its_way(proxy)
        {
            value.problem("base_url is on this machine, where a proxy on another cannot reach it; remove the proxy");
        }
        Some(settings)
    }

    fn credentials(&self, value: &Value) -> Option<CredentialSource> {
        let mut map = value.map("a map with token_file, or with username and password_file")?;
        let token_file = map.get("token_file").map(|value| (self.path(&value), value));
        let username = map.get("username").map(|value| (value.text("a username").map(str::to_owned), value));
        let password_file = map.get("password_file").map(|value| (self.path(&value), value));
        map.refuse(
            &["token", "password", "api_token"],
            "a secret does not belong into this file; put it into a file of its own and name that with token_file or \
             password_file",
        );
        map.finish();
        match (token_file, username, password_file) {
            (None, None, None) => Some(CredentialSource::Environment),
            (Some((file, _)), None, None) => file.map(CredentialSource::TokenFile),
            (None, Some((username, _)), Some((password_file, _))) => {
                Some(CredentialSource::Password { username: username?, password_file: password_file? })
            }
            (Some((_, value)), _, _) => {
                value.problem("there is a username or a password_file beside it; keep the one or the other");
                None
            }
            (None, Some((_, value)), None) => {
                value.problem("a username needs a password_file beside it");
                None
            }
            (None, None, Some((_, value))) => {
                value.problem("a password_file needs a username beside it");
                None
            }
        }
    }
}

/// The address of Flow's API. `allow_http` is `None` where that key is wrong itself.
fn base_url(value: &Value, allow_http: Option<bool>) -> Option<String> {
    let expected = "an address such as https://app.flow.bio/api";
    let url = url(value, &["https", "http"], expected)?;
    if url.scheme() == "http" && !is_loopback(&url) && allow_http == Some(false) {
        value.problem("http:// would send the credentials readable to all; write https://, or set allow_http: true");
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        value.expected(&format!("{expected}, without ? and #"));
        return None;
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn proxy(value: &Value) -> Option<String> {
    url(value, &["http", "https"], "an address such as http://proxy.example.org:3128").map(|url| url.to_string())
}

/// An address with a host and without a password: this file, and what prints it, is no place for secrets.
fn url(value: &Value, schemes: &[&str], expected: &str) -> Option<Url> {
    let text = value.text(expected)?;
    let url = Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
    match url {
        None => value.expected(expected),
        Some(url) if !url.username().is_empty() || url.password().is_some() => value.problem(
            "a secret does not belong into this file; write the address without user and password (a proxy's may \
             stand in the variable HTTPS_PROXY of the service)",
        ),
        url => return url,
    }
    None
}

fn retries(value: Value) -> Option<u32> {
    value.integer(0, MOST_RETRIES).and_then(|number| u32::try_from(number).ok())
}
