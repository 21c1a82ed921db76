//! One request to Flow and its answer: base URL, token, its refresh, and errors. Knows nothing of what is asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use indicatif::MultiProgress;
use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

use super::api_error::ApiError;
use super::auth::Credentials;
use super::caller::{Caller, Callers};
use super::config::ClientConfig;
use super::data::DataResource;
use super::error::{Error, Obstacle, TIME_RAN_OUT};
use super::mask::Mask;
use super::samples::SampleResource;

/// Fixed, as in the reference client: how long an API takes to answer says nothing about a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Under the keep-alive of the servers and proxies in use, so that no request meets a connection just closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read: an annotation template is far smaller.
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// A client of the Flow API. Clones share connections and token.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    base_url: String,
    config: ClientConfig,
    /// The setting, or less, once the server has refused a chunk as too large.
    chunk_size: AtomicU64,
    /// Where uploads of local files draw their progress.
    canvas: MultiProgress,
    token: RwLock<Token>,
    /// Held while the token is refreshed: concurrent requests that met the same expired token wait for one refresh.
    /// Holds the generation of the token whose refresh the server refused last: it is not asked for again.
    refreshing: Mutex<Option<u64>>,
    callers: Callers,
}

/// What the time limit of a request is for.
#[derive(Clone, Copy)]
enum Wait {
    ForAll,
    ForHead,
}

/// The token in use, and how many came before it.
#[derive(Default)]
struct Token {
    generation: u64,
    secret: Option<SecretString>,
}

/// The caller's own account, as `GET /me` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// The account's id.
    #[serde(default, deserialize_with = "super::id::optional")]
    pub id: Option<String>,
    /// The name that the account logs in with.
    #[serde(default, deserialize_with = "super::lenient::word")]
    pub username: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.inner.base_url).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for the API at `base_url` ([`super::DEFAULT_BASE_URL`] unless a private instance is meant).
    ///
    /// # Errors
    /// [`Error::Setup`] where the TLS library finds no certificate store, or the URL or proxy is not one.
    pub fn new(base_url: impl Into<String>, config: ClientConfig) -> Result<Self, Error> {
        Self::build(base_url.into(), config, None)
    }

    /// Like [`Client::new`], through a proxy. Without one, the environment's proxy settings apply, unless the API is on
    /// this host's loopback.
    ///
    /// # Errors
    /// As for [`Client::new`].
    pub fn with_proxy(base_url: impl Into<String>, config: ClientConfig, proxy: &str) -> Result<Self, Error> {
        Self::build(base_url.into(), config, Some(proxy))
    }

    fn build(base_url: String, config: ClientConfig, proxy: Option<&str>) -> Result<Self, Error> {
        let setup = |remedy| move |error: reqwest::Error| Error::Setup { reason: error.to_string(), remedy };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("flow-ingest/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(config.request_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .cookie_store(true)
            // A redirect would carry the token, and an upload, to where nobody sent it.
            .redirect(reqwest::redirect::Policy::none())
            // The two levels of retry are ours; a third, unseen one could send a last chunk twice.
            .retry(reqwest::retry::never());
        match proxy {
            Some(proxy) => {
                builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(setup("check flow.proxy"))?);
            }
            // The environment's proxy would look for a server on its own loopback, and be handed the token.
            None if reqwest::Url::parse(&base_url).is_ok_and(|url| is_loopback(&url)) => {
                builder = builder.no_proxy();
                // Nothing will be encrypted: a host without certificates can do without.
                if base_url.starts_with("http://") {
                    builder = builder.tls_certs_only([]);
                }
            }
            None => {}
        }
        let http = builder.build().map_err(setup("install the system's certificates (package ca-certificates)"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                base_url: base_url.trim_end_matches('/').to_owned(),
                chunk_size: AtomicU64::new(config.chunk_size.max(1)),
                canvas: super::bars::canvas(config.show_progress),
                config,
                token: RwLock::default(),
                refreshing: Mutex::new(None),
                callers: Callers::default(),
            }),
        })
    }

    /// Gets a token with `credentials` and uses it from now on.
    ///
    /// # Errors
    /// What the credentials' own requests meet; wrong ones are a 400 to `POST /login`.
    pub async fn log_in(&self, credentials: &impl Credentials) -> Result<(), Error> {
        let token = credentials.token(self).await?;
        self.set_token(token).await;
        Ok(())
    }

    /// Samples: their types, metadata, search and upload.
    pub fn samples(&self) -> SampleResource<'_> {
        SampleResource(self)
    }

    /// Generic data files.
    pub fn data(&self) -> DataResource<'_> {
        DataResource(self)
    }

    /// The account behind the token: the reliable test of a token, since the search endpoints treat a bad one as
    /// nobody's and say nothing (endpoint notes).
    ///
    /// # Errors
    /// 401 when the token is missing or bad.
    pub async fn me(&self) -> Result<Me, Error> {
        let (token, asked) = (self.token_generation().await, Instant::now());
        let me: Me = self.get("/me", &[]).await?;
        // An answer that a fresh token brought says nothing of when that one became good.
        if self.token_generation().await == token {
            self.inner.callers.remember(Caller { me: me.clone(), token, asked });
        }
        Ok(me)
    }

    pub(super) fn callers(&self) -> &Callers {
        &self.inner.callers
    }

    pub(super) fn canvas(&self) -> &MultiProgress {
        &self.inner.canvas
    }

    pub(super) fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// The length of a file's first chunk for files not yet begun.
    pub(super) fn chunk_size(&self) -> u64 {
        self.inner.chunk_size.load(Ordering::Relaxed)
    }

    /// Makes files that are begun from now on start with chunks of no more than `bytes`.
    pub(super) fn learn_chunk_size(&self, bytes: u64) {
        self.inner.chunk_size.fetch_min(bytes, Ordering::Relaxed);
    }

    /// Sends what `prepare` makes of a request: repeated while no connection can be made, and once more with a
    /// fresh token when it was met with 401. The answer is a success, or an error.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        self.exchange(method, path, Wait::ForAll, prepare).await
    }

    /// Like [`Client::send`] with a GET, for an answer of any length, which [`Client::next_piece`] reads: the time
    /// limit is for its head.
    pub(super) async fn open(
        &self,
        path: &str,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        self.exchange(Method::GET, path, Wait::ForHead, prepare).await
    }

    /// The next bytes of an answer; the time limit is for them alone.
    pub(super) async fn next_piece(&self, request: &str, answer: &mut Response) -> Result<Option<Bytes>, Error> {
        match tokio::time::timeout(self.inner.config.request_timeout, answer.chunk()).await {
            Ok(piece) => piece.map_err(|error| Error::from_reqwest(request, &error)),
            Err(_) => Err(Error::lost(request, TIME_RAN_OUT)),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        wait: Wait,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let (token, generation) = self.token().await;
        let answer = self.send_with(&method, path, token, None, wait, &prepare).await?;
        if answer.status().as_u16() == 401 && self.refresh(generation).await {
            let (token, _) = self.token().await;
            let answer = self.send_with(&method, path, token, None, wait, &prepare).await?;
            return self.accepted(&method, path, answer).await;
        }
        self.accepted(&method, path, answer).await
    }

    /// The body of a refusal is short; one that stalls does not hold up the refusal.
    async fn accepted(&self, method: &Method, path: &str, answer: Response) -> Result<Response, Error> {
        let limit = self.inner.config.request_timeout;
        let lost = |_| Error::lost(&format!("{method} {path}"), TIME_RAN_OUT);
        tokio::time::timeout(limit, accept(method, path, answer)).await.map_err(lost)?
    }

    async fn send_with(
        &self,
        method: &Method,
        path: &str,
        token: Option<SecretString>,
        password: Option<&SecretString>,
        wait: Wait,
        prepare: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let url = format!("{}/{}", self.inner.base_url, path.trim_start_matches('/'));
        let secrets: Vec<&str> = token.iter().chain(password).map(ExposeSecret::expose_secret).collect();
        let mut tries = 0;
        loop {
            let mut request = self.inner.http.request(method.clone(), &url);
            if let Some(token) = &token {
                request = request.bearer_auth(token.expose_secret());
            }
            let limit = self.inner.config.request_timeout;
            let answer = match wait {
                Wait::ForAll => prepare(request.timeout(limit)).send().await,
                Wait::ForHead => match tokio::time::timeout(limit, prepare(request).send()).await {
                    Ok(answer) => answer,
                    Err(_) => return Err(Error::lost(&format!("{method} {path}"), TIME_RAN_OUT)),
                },
            };
            match answer {
                Ok(mut answer) => {
                    answer.extensions_mut().insert(Mask::of(&secrets));
                    return Ok(answer);
                }
                Err(error) => {
                    let error = Error::from_reqwest(&format!("{method} {path}"), &error);
                    let is_passing = match error {
                        Error::Unreachable { obstacle, .. } => {
                            !matches!(obstacle, Obstacle::Certificate | Obstacle::Tls)
                        }
                        _ => false,
                    };
                    if !is_passing || tries == self.inner.config.connection_retries {
                        return Err(error);
                    }
                    tokio::time::sleep(super::pause(Duration::from_millis(500), tries)).await;
                    tries += 1;
                }
            }
        }
    }

    pub(super) async fn request_token(&self, username: &str, password: &SecretString) -> Result<SecretString, Error> {
        #[derive(Serialize)]
        struct Login<'a> {
            username: &'a str,
            password: &'a str,
        }
        let login = Login { username, password: password.expose_secret() };
        let prepare = |request: RequestBuilder| request.json(&login);
        let answer = self.send_with(&Method::POST, "/login", None, Some(password), Wait::ForAll, &prepare).await?;
        read_token(&Method::POST, "/login", answer).await
    }

    /// Gets a fresh token through the refresh cookie, unless another request did so since `generation`.
    async fn refresh(&self, generation: u64) -> bool {
        let mut refused = self.inner.refreshing.lock().await;
        match self.token().await {
            (None, _) => return false,
            (Some(_), current) if *refused == Some(current) => return false,
            (Some(_), current) if current != generation => return true,
            _ => {}
        }
        let fresh = async {
            let answer = self.send_with(&Method::GET, "/token", None, None, Wait::ForAll, &|request| request).await?;
            read_token(&Method::GET, "/token", answer).await
        };
        match fresh.await {
            Ok(token) => {
                self.set_token(token).await;
                true
            }
            Err(error) => {
                tracing::debug!(%error, "the token could not be refreshed");
                if error.status().is_some_and(|status| (400..500).contains(&status)) {
                    *refused = Some(generation);
                }
                false
            }
        }
    }

    async fn token(&self) -> (Option<SecretString>, u64) {
        let token = self.inner.token.read().await;
        (token.secret.clone(), token.generation)
    }

    /// How many tokens came before the one in use: two answers under one token were given to one and the same caller.
    pub(super) async fn token_generation(&self) -> u64 {
        self.inner.token.read().await.generation
    }

    async fn set_token(&self, secret: SecretString) {
        let mut token = self.inner.token.write().await;
        token.secret = Some(secret);
        token.generation += 1;
    }
}

async fn accept(method: &Method, path: &str, answer: Response) -> Result<Response, Error> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let request = format!("{method} {path}");
    let (status, headers, mask) = (answer.status(), answer.headers().clone(), mask(&answer));
    // The status is known: a body that breaks off does not turn a refusal into a lost answer.
    let body = read_body(&request, answer).await.unwrap_or_default();
    Err(Box::new(ApiError::new(&request, status, &headers, &body, &mask)).into())
}

async fn read_token(method: &Method, path: &str, answer: Response) -> Result<SecretString, Error> {
    #[derive(Deserialize)]
    struct Answer {
        token: String,
    }
    let request = format!("{method} {path}");
    // What cannot be read may be a token all the same: it is not quoted.
    let answer: Answer = read_json(&request, accept(method, path, answer).await?).await.map_err(|error| {
        if error.api().is_some() { error } else { Error::lost(&request, "the answer holds no token") }
    })?;
    Ok(SecretString::from(answer.token))
}

/// Reads a successful answer; one that is cut off or is not the JSON that was expected counts as lost.
pub(super) async fn read_json<T: DeserializeOwned>(request: &str, answer: Response) -> Result<T, Error> {
    let mask = mask(&answer);
    let body = read_body(request, answer).await?;
    // What was found in place of what was expected is quoted.
    serde_json::from_slice(&body).map_err(|error| Error::unreadable(request, mask.hide(&error.to_string())))
}

/// What nothing that is said of the answer may repeat.
fn mask(answer: &Response) -> Mask {
    answer.extensions().get().cloned().unwrap_or_default()
}

pub(super) async fn read_body(request: &str, mut answer: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| Error::from_reqwest(request, &error))? {
        if (body.len() + piece.len()) as u64 > LARGEST_ANSWER {
            return Err(Error::lost(request, format!("the answer is longer than {LARGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Whether a URL leads to this host itself.
pub fn is_loopback(url: &reqwest::Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}
