//! The stand-in for Flow: a server on this machine that takes uploads as the platform does, keeps every byte under
//! one folder, and misbehaves when a test asks it to.
//!
//! It lies beside the data's way, where Flow would stand. It has its own view of the protocol and shares no code
//! with the client, so that a misreading on one side shows on the other. What the platform does badly it does
//! badly too: two copies of a chunk at the same time both append, and a repeated last chunk makes a second sample
//! (`chunk`, `uploading`). What the platform's public notes leave unknown is a setting, or the worse of the two
//! answers.
//!
//! It refuses to be a real platform: one account, a fixed catalogue, an index in memory that ends with the
//! process (the files stay), archives kept as they came, and spreadsheets not opened.
//!
//! ```no_run
//! # async fn example() -> Result<(), flow_ingest::sandbox::Error> {
//! use flow_ingest::sandbox::{Fault, On, Sandbox, Settings};
//!
//! let sandbox = Sandbox::start(Settings::new("/tmp/flow-sandbox")).await?;
//! sandbox.faults().add(Fault::on(On::FinalChunk).drop_after().times(1));
//! println!("{}", sandbox.base_url());
//! # sandbox.stop().await;
//! # Ok(())
//! # }
//! ```

mod access;
mod annotation;
mod answer;
mod catalogue;
mod chunk;
mod course;
mod exchange;
mod faults;
mod form;
pub(crate) mod fuzzing;
mod imports;
mod log;
mod on;
mod paging;
mod reading;
mod reply;
mod server;
mod store;
mod uploading;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::sync::watch;

pub use catalogue::{FOREIGN_DATA_ID, FOREIGN_FILENAME};
pub use course::{Gate, Stage};
pub use faults::{Fault, Faults};
pub use log::{RequestLog, Traffic};
pub use on::{On, Sight};
pub use reply::{Reply, RetryAfter};
pub use store::{StoredFile, StoredSample};

/// The account's name and password, unless the settings say otherwise.
pub const DEFAULT_ACCOUNT: &str = "sandbox";

/// The token that is good from the start, unless the settings say otherwise. It protects nothing but the sandbox.
pub const DEFAULT_TOKEN: &str = "sandbox-token-0123456789abcdef";

/// How the sandbox is to behave for as long as it runs; faults are scripted while it runs, with
/// [`Sandbox::faults`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the files are kept: `samples/<sample name>/<filename>` and `data/<id>/<filename>`. Made when missing.
    pub dir: PathBuf,
    /// The address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The account's name.
    pub username: String,
    /// The account's password.
    pub password: String,
    /// A token of the account, good from the start as an API key is.
    pub token: String,
    /// The status of "Missing chunk". Whether the platform says 400 or 500 is not known.
    pub missing_chunk_status: u16,
    /// The largest chunk in bytes; a larger one is answered with 413. `None`: any.
    pub max_chunk: Option<u64>,
    /// Whether a download gives a part of a file to whoever asks for one; else it gives all of it. Which of the two the
    /// platform does is not known.
    pub ranges: bool,
    /// How long it takes to hash a file whose last chunk has come, before it is ready.
    pub hashing: Duration,
}

impl Settings {
    /// The usual sandbox, on any free port of the loopback.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            username: DEFAULT_ACCOUNT.to_owned(),
            password: DEFAULT_ACCOUNT.to_owned(),
            token: DEFAULT_TOKEN.to_owned(),
            missing_chunk_status: 400,
            max_chunk: None,
            ranges: true,
            hashing: Duration::ZERO,
        }
    }
}

/// Why the sandbox does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder for the files cannot be made or written.
    #[error("cannot keep the sandbox's files in {}: {source}; name a folder that can be written with --dir", dir.display())]
    Dir { dir: PathBuf, source: io::Error },
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}; choose another address with --listen, or port 0 for any free port")]
    Listen { address: SocketAddr, source: io::Error },
}

/// What every request sees: one of it a sandbox.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    access: access::Access,
    store: store::Store,
    imports: imports::Imports,
    faults: Faults,
    log: log::Log,
    traffic: log::Counters,
    /// How many requests are being worked on, those included whose client has gone.
    works: watch::Sender<usize>,
}

/// A running stand-in for Flow. Dropping it cuts every connection and stops the server.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    server: server::Server,
}

impl Sandbox {
    /// Prepares the folder and listens.
    ///
    /// # Errors
    /// When the folder cannot be written, or the address cannot be listened on.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let store =
            store::Store::open(&settings.dir).map_err(|source| Error::Dir { dir: settings.dir.clone(), source })?;
        let listen = settings.listen;
        let shared = Arc::new(Shared {
            access: access::Access::new(&settings),
            store,
            imports: imports::Imports::default(),
            faults: Faults::default(),
            log: log::Log::default(),
            traffic: log::Counters::default(),
            works: watch::Sender::new(0),
            settings,
        });
        let server = server::Server::start(listen, router(shared.clone()))
            .await
            .map_err(|source| Error::Listen { address: listen, source })?;
        Ok(Self { shared, server })
    }

    /// What a client takes as its base URL: `http://127.0.0.1:PORT/api`.
    pub fn base_url(&self) -> String {
        format!("http://{}/api", self.server.address())
    }

    /// The address that is listened on, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The folder that the files are kept in.
    pub fn dir(&self) -> &Path {
        &self.shared.settings.dir
    }

    /// The token that was good at the start. [`Sandbox::expire_token`] and [`Sandbox::set_token`] do not change
    /// what this returns, only what the server takes.
    pub fn token(&self) -> &str {
        &self.shared.settings.token
    }

    /// A few lines for a person: where it is, and how to get in. The first line is the base URL alone.
    pub fn describe(&self) -> String {
        let Settings { username, password, token, dir, .. } = &self.shared.settings;
        format!(
            "{}\naccount   {username}, password {password}\ntoken     {token}\nfiles     {}\n",
            self.base_url(),
            dir.display()
        )
    }

    /// The script of what goes wrong. Empty at first; rules can be added and cleared at any time.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The latest requests, oldest first, in the order in which they were answered or cut. Ten thousand are kept.
    pub fn requests(&self) -> Vec<RequestLog> {
        self.shared.log.entries()
    }

    /// How many bytes of files came in, and how many were written.
    pub fn traffic(&self) -> Traffic {
        self.shared.traffic.read()
    }

    /// Every sample, in the order in which they were made, doubles included.
    pub fn samples(&self) -> Vec<StoredSample> {
        self.shared.store.samples()
    }

    /// Every ready generic file (`/upload`), in the order in which they were begun.
    pub fn data(&self) -> Vec<StoredFile> {
        self.shared.store.ready_files(store::Kind::Data)
    }

    /// Every ready multiplexed reads file, in the order in which they were begun.
    pub fn multiplexed(&self) -> Vec<StoredFile> {
        self.shared.store.ready_files(store::Kind::Multiplexed)
    }

    /// Every annotation sheet that was accepted, in the order in which they were begun.
    pub fn annotations(&self) -> Vec<StoredFile> {
        self.shared.store.ready_files(store::Kind::Annotation)
    }

    /// Every file of whatever kind that was begun and is not ready: under way, or an orphan.
    pub fn unfinished(&self) -> Vec<StoredFile> {
        self.shared.store.unfinished()
    }

    /// From now on no token is good that was good until now, as when its time is over. A client that logged in can
    /// refresh; a token can be made good again with [`Sandbox::set_token`].
    pub fn expire_token(&self) {
        self.shared.access.expire_tokens();
    }

    /// As [`Sandbox::expire_token`], and the refresh cookies with it: only a new login helps.
    pub fn expire_session(&self) {
        self.shared.access.expire_tokens();
        self.shared.access.expire_refreshes();
    }

    /// Makes `token` the only good one, as when a person replaces an API key.
    pub fn set_token(&self, token: impl Into<String>) {
        self.shared.access.replace_token(token.into());
    }

    /// Makes the server unreachable: the port refuses connections and those under way are cut. The work of requests
    /// that came in whole goes on. What was uploaded stays, and so does the address.
    pub async fn pause(&self) {
        self.server.pause().await;
    }

    /// Listens again at the same address. Does nothing when the server is not paused.
    ///
    /// # Errors
    /// When the port was taken by someone else meanwhile.
    pub async fn resume(&self) -> Result<(), Error> {
        self.server.resume().await.map_err(|source| Error::Listen { address: self.address(), source })
    }

    /// Waits until no request is being worked on, the work behind lost answers included.
    pub async fn idle(&self) {
        let mut works = self.shared.works.subscribe();
        // The sender lives in `shared`, which we hold: this cannot fail.
        let _ = works.wait_for(|works| *works == 0).await;
    }

    /// Stops listening, lets the answers under way go out (for five seconds at most), and closes.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Every path the sandbox answers, under `/api`.
fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/login", post(access::login))
        .route("/token", get(access::refresh))
        .route("/me", get(access::me))
        .route("/samples/types", get(reading::sample_types))
        .route("/samples/metadata", get(reading::metadata))
        .route("/samples/metadata/{identifier}/options", get(reading::options))
        .route("/samples/search", get(reading::search_samples))
        .route("/samples/{id}", get(reading::sample))
        .route("/organisms", get(reading::organisms))
        .route("/projects/owned", get(reading::owned_projects))
        .route("/data/types", get(reading::data_types))
        .route("/data/search", get(reading::search_data))
        .route("/data/{id}", get(reading::data))
        .route("/downloads/{id}/{filename}", get(reading::download))
        .route("/annotation/{sample_type}", get(annotation::template))
        .route("/upload", post(uploading::data))
        .route("/upload/sample", post(uploading::sample))
        .route("/upload/multiplexed", post(uploading::multiplexed))
        .route("/upload/annotation", post(uploading::annotation))
        .route("/v2/sample-imports", post(imports::start))
        .route("/v2/sample-imports/{id}", get(imports::look))
        .fallback(answer::not_found);
    Router::new()
        .nest("/api", api)
        .fallback(answer::not_found)
        .layer(middleware::from_fn_with_state(shared.clone(), exchange::exchange))
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

#[cfg(test)]
mod testing;
