//! Who is asking: the one account, its tokens, and how a token is renewed.
//!
//! A token stands for the account until it is made to expire. `POST /login` hands out a token and a refresh cookie;
//! `GET /token` turns the cookie into a fresh token ([C]). Which requests need an account is for each of them to
//! say.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Refusal, ok};
use super::{Settings, Shared};

/// The cookie that a fresh token is had for ([C]).
const REFRESH_COOKIE: &str = "flow_refresh_token";

/// The account and what opens it.
#[derive(Debug)]
pub(super) struct Access {
    username: String,
    password: String,
    good: Mutex<Good>,
}

/// What is good now.
#[derive(Debug, Default)]
struct Good {
    tokens: HashSet<String>,
    refreshes: HashSet<String>,
    issued: u64,
}

impl Good {
    fn issue(&mut self, kind: &str) -> String {
        self.issued += 1;
        format!("sandbox-{kind}-{:04}-{:016x}", self.issued, rand::random::<u64>())
    }

    fn issue_token(&mut self) -> String {
        let token = self.issue("access");
        self.tokens.insert(token.clone());
        token
    }
}

impl Access {
    pub(super) fn new(settings: &Settings) -> Self {
        let good = Good { tokens: HashSet::from([settings.token.clone()]), ..Good::default() };
        Self { username: settings.username.clone(), password: settings.password.clone(), good: Mutex::new(good) }
    }

    fn good(&self) -> MutexGuard<'_, Good> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn username(&self) -> &str {
        &self.username
    }

    pub(super) fn expire_tokens(&self) {
        self.good().tokens.clear();
    }

    pub(super) fn expire_refreshes(&self) {
        self.good().refreshes.clear();
    }

    pub(super) fn replace_token(&self, token: String) {
        self.good().tokens = HashSet::from([token]);
    }

    /// Whether the request bears a good token. A bad one is as good as none: what follows is the caller's to say.
    pub(super) fn knows(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer "));
        token.is_some_and(|token| self.good().tokens.contains(token))
    }

    /// Lets only the account pass.
    ///
    /// # Errors
    /// 401 for anyone else.
    pub(super) fn require(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.knows(headers) { Ok(()) } else { Err(Refusal::Unauthenticated) }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    username: String,
    password: String,
}

/// `POST /login`. Wrong credentials are a 400 ([C]).
pub(super) async fn login(
    State(shared): State<Arc<Shared>>,
    credentials: Result<Json<Credentials>, JsonRejection>,
) -> Answer {
    let Json(Credentials { username, password }) =
        credentials.map_err(|_| Refusal::field("username", "This field is required."))?;
    let access = &shared.access;
    if username != access.username || password != access.password {
        return Err(Refusal::field("username", "Invalid credentials"));
    }
    let (token, refresh) = {
        let mut good = access.good();
        let refresh = good.issue("refresh");
        good.refreshes.insert(refresh.clone());
        (good.issue_token(), refresh)
    };
    let cookie = format!("{REFRESH_COOKIE}={refresh}; Path=/; HttpOnly; SameSite=Lax");
    Ok(([(header::SET_COOKIE, cookie)], Json(json!({"token": token}))).into_response())
}

/// `GET /token`: a fresh token for the refresh cookie.
pub(super) async fn refresh(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Answer {
    let mut good = shared.access.good();
    let known = cookies(&headers).any(|(name, value)| name == REFRESH_COOKIE && good.refreshes.contains(value));
    if !known {
        return Err(Refusal::Unauthenticated);
    }
    ok(json!({"token": good.issue_token()}))
}

/// `GET /me`: the one reliable test of a token ([D]).
pub(super) async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Answer {
    shared.access.require(&headers)?;
    ok(json!({
        "id": super::catalogue::ACCOUNT_ID.to_string(),
        "username": shared.access.username(),
        "name": super::catalogue::ACCOUNT_NAME,
        "email": "sandbox@example.org",
    }))
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::sandbox::testing::{Bench, body};

    #[tokio::test]
    async fn me_tells_a_good_token_from_a_bad_one() {
        let bench = Bench::new().await;
        assert_eq!(bench.read("/me").await.1["username"], "sandbox");
        assert_eq!(bench.client.get(bench.url("/me")).bearer_auth("bad").send().await.unwrap().status(), 401);
        assert_eq!(bench.client.get(bench.url("/me")).send().await.unwrap().status(), 401);
    }

    #[tokio::test]
    async fn a_login_gives_a_token_and_a_cookie_that_renews_it() {
        let bench = Bench::new().await;
        let credentials = json!({"username": "sandbox", "password": "sandbox"});
        let login = bench.client.post(bench.url("/login")).json(&credentials).send().await.unwrap();
        let cookie = login.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.starts_with("flow_refresh_token=") && cookie.contains("HttpOnly"), "{cookie}");
        let (_, answer) = body(login).await;
        let me = |token: String| bench.client.get(bench.url("/me")).bearer_auth(token).send();
        let old = answer["token"].as_str().unwrap().to_owned();
        assert_eq!(me(old.clone()).await.unwrap().status(), 200);

        bench.sandbox.expire_token();
        assert_eq!(me(old.clone()).await.unwrap().status(), 401);
        let cookie = cookie.split(';').next().unwrap();
        let refresh = || bench.client.get(bench.url("/token")).header("cookie", format!("a=b; {cookie}")).send();
        let (status, fresh) = body(refresh().await.unwrap()).await;
        assert_eq!(status, 200);
        assert_eq!(me(fresh["token"].as_str().unwrap().to_owned()).await.unwrap().status(), 200);
        assert_eq!(me(old).await.unwrap().status(), 401, "the old one stays expired");

        bench.sandbox.expire_session();
        assert_eq!(refresh().await.unwrap().status(), 401);
    }

    #[tokio::test]
    async fn wrong_credentials_are_a_bad_request() {
        let bench = Bench::new().await;
        for wrong in [json!({"username": "sandbox", "password": "x"}), json!({"username": "sandbox"}), json!([])] {
            let answer = bench.client.post(bench.url("/login")).json(&wrong).send().await.unwrap();
            assert_eq!(answer.status(), 400, "{wrong}");
        }
        assert_eq!(bench.client.get(bench.url("/token")).send().await.unwrap().status(), 401);
    }

    #[tokio::test]
    async fn a_token_that_is_replaced_is_bad_from_then_on() {
        let bench = Bench::new().await;
        bench.sandbox.set_token("another");
        assert_eq!(bench.read("/me").await.0, 401);
        assert_eq!(bench.client.get(bench.url("/me")).bearer_auth("another").send().await.unwrap().status(), 200);
    }
}
