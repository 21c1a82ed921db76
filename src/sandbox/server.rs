//! The listening socket and its connections: opened, closed for an outage, cut one by one.
//!
//! It serves connections itself, because a fault must be able to close a socket without a byte of an answer, and a
//! handler of a ready-made server cannot. It knows nothing of what is said on a connection.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long answers under way may take once the server is to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// How long to wait after the machine could not accept a connection (usually: too many open files).
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The connection that a request came on; every request carries it as an extension.
#[derive(Debug, Clone)]
pub(super) struct Line(CancellationToken);

impl Line {
    /// Closes the connection as it is, half a request or half an answer under way. Does not return: whoever calls
    /// it is dropped with the connection.
    pub(super) async fn cut(&self) -> Infallible {
        self.sever();
        pending().await
    }

    /// As [`Line::cut`], for callers that are not asynchronous.
    pub(super) fn sever(&self) {
        self.0.cancel();
    }
}

/// A server at one address, which it keeps through outages.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    router: Router,
    state: Mutex<State>,
    /// Cancelled when the server is dropped.
    end: CancellationToken,
}

#[derive(Debug)]
enum State {
    Listening(Listening),
    /// The port is held by a socket that does not listen, so that nobody else is given it: connections are refused.
    Paused(Option<TcpSocket>),
}

#[derive(Debug)]
struct Listening {
    accepting: JoinHandle<()>,
    connections: TaskTracker,
    /// No more connections, and no more requests on those there are.
    closing: CancellationToken,
    /// Every connection is closed as it is.
    cut: CancellationToken,
}

impl Server {
    /// Listens on `address` and serves `router`.
    pub(super) async fn start(address: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = bound(address)?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let end = CancellationToken::new();
        let listening = Listening::begin(listener, router.clone(), &end);
        Ok(Self { address, router, state: Mutex::new(State::Listening(listening)), end })
    }

    /// Where it listens, with the real port.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listening socket and cuts every connection; returns when both are closed.
    pub(super) async fn pause(&self) {
        let mut state = self.state.lock().await;
        if let State::Listening(listening) = &mut *state {
            listening.cut().await;
            *state = State::Paused(bound(self.address).ok());
        }
    }

    /// Listens again.
    pub(super) async fn resume(&self) -> io::Result<()> {
        let mut state = self.state.lock().await;
        if let State::Paused(held) = &mut *state {
            let socket = held.take().map_or_else(|| bound(self.address), Ok)?;
            let listener = socket.listen(BACKLOG)?;
            *state = State::Listening(Listening::begin(listener, self.router.clone(), &self.end));
        }
        Ok(())
    }

    /// Stops listening, lets answers under way go out, then closes.
    pub(super) async fn stop(&self) {
        if let State::Listening(listening) = &mut *self.state.lock().await {
            listening.closing.cancel();
            listening.connections.close();
            let _ = tokio::time::timeout(DRAIN, listening.connections.wait()).await;
            listening.cut().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Listening {
    fn begin(listener: TcpListener, router: Router, end: &CancellationToken) -> Self {
        let (connections, closing, cut) = (TaskTracker::new(), CancellationToken::new(), end.child_token());
        let accepting = tokio::spawn(accept(listener, router, connections.clone(), closing.clone(), cut.clone()));
        Self { accepting, connections, closing, cut }
    }

    async fn cut(&mut self) {
        self.cut.cancel();
        // The task ends at the cancellation, and it owns the listener: it has to be gone before the port is free.
        let _ = (&mut self.accepting).await;
        self.connections.close();
        self.connections.wait().await;
    }
}

/// A socket at the address that does not listen yet. The address may have been left a moment ago.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(
    listener: TcpListener,
    router: Router,
    connections: TaskTracker,
    closing: CancellationToken,
    cut: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = cut.cancelled() => return,
            () = closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, router.clone(), closing.clone(), Line(cut.child_token())));
            }
            Err(error) => {
                tracing::warn!("the sandbox cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Answers the requests on one connection until either side has had enough.
async fn converse(stream: TcpStream, router: Router, closing: CancellationToken, line: Line) {
    // Small answers must not wait for each other's acknowledgement.
    let _ = stream.set_nodelay(true);
    let carried = line.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(carried.clone());
        router.call(request)
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // How a connection ends is the client's affair, or a fault's: an error here says nothing new.
    tokio::select! {
        () = line.0.cancelled() => return,
        _ = connection.as_mut() => return,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        () = line.0.cancelled() => {}
        _ = connection => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::sandbox::testing::Bench;
    use crate::sandbox::{Error, Fault, On, Sandbox, Settings};

    #[tokio::test]
    async fn an_outage_refuses_connections_and_ends_at_the_same_address_with_everything_in_place() {
        let bench = Bench::new().await;
        let id = bench.chunk().at("", 0, "ab", false).id().await;
        bench.sandbox.pause().await;
        bench.sandbox.pause().await;
        assert!(bench.chunk().at(&id, 2, "cd", true).send().await.unwrap_err().is_connect());
        bench.sandbox.resume().await.unwrap();
        bench.sandbox.resume().await.unwrap();
        bench.chunk().at(&id, 2, "cd", true).id().await;
        assert_eq!(bench.sandbox.data()[0].size, 4);
    }

    #[tokio::test]
    async fn an_outage_cuts_connections_under_way_and_their_work_goes_on() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::Chunk).delay_after(Duration::from_secs(600)));
        let under_way = tokio::spawn(bench.chunk().bytes("x").request().send());
        while bench.sandbox.data().is_empty() {
            tokio::task::yield_now().await;
        }
        bench.sandbox.pause().await;
        under_way.await.unwrap().unwrap_err();
        assert_eq!(bench.sandbox.data().len(), 1);
    }

    #[tokio::test]
    async fn an_idle_connection_is_cut_by_an_outage_too() {
        let bench = Bench::new().await;
        let keeping = reqwest::Client::builder().no_proxy().build().unwrap();
        assert_eq!(keeping.get(bench.url("/organisms")).send().await.unwrap().status(), 200);
        bench.sandbox.pause().await;
        bench.sandbox.resume().await.unwrap();
        assert_eq!(keeping.get(bench.url("/organisms")).send().await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn stopping_lets_answers_under_way_go_out() {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(On::Chunk).delay_after(Duration::from_millis(100)));
        let under_way = tokio::spawn(bench.chunk().bytes("x").request().send());
        while bench.sandbox.data().is_empty() {
            tokio::task::yield_now().await;
        }
        let (client, url) = (bench.client.clone(), bench.url("/me"));
        bench.sandbox.stop().await;
        assert_eq!(under_way.await.unwrap().unwrap().status(), 200);
        assert!(client.get(url).send().await.unwrap_err().is_connect());
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let bench = Bench::new().await;
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path());
        settings.listen = bench.sandbox.address();
        let error = Sandbox::start(settings).await.unwrap_err();
        assert!(matches!(error, Error::Listen { .. }));
        assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", bench.sandbox.address())), "{error}");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Sandbox::start(Settings::new(file.path())).await.unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_sandbox_on_a_folder_used_before_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut ids = Vec::new();
        for _ in 0..2 {
            let bench = Bench::with(|settings| settings.dir = dir.path().to_owned()).await;
            ids.push(bench.chunk().bytes("x").id().await);
            bench.sample_chunk().bytes("y").id().await;
        }
        assert_ne!(ids[0], ids[1]);
        assert!(dir.path().join("samples/S1~2/f.fastq").exists());
    }

    #[tokio::test]
    async fn the_description_begins_with_the_base_url_alone() {
        let bench = Bench::new().await;
        let text = bench.sandbox.describe();
        assert_eq!(text.lines().next(), Some(bench.sandbox.base_url().as_str()));
        assert!(text.contains(bench.sandbox.token()));
    }
}
