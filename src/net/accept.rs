//! The accept loop: one for the API and the pages, the embedded S3 server and the metrics.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use futures::FutureExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tower_http::timeout::TimeoutBody;

use super::client::is_trusted;
use super::limiter::{ConnectionLimiter, Permit};
use super::stream::{Begun, Requests, Timed, Timeouts};

/// The pause after a connection that could not be accepted: without file descriptors the next can't be either.
const PAUSE: Duration = Duration::from_millis(100);

/// What the connections of a port may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections in all; beyond it the oldest make room.
    pub connections: usize,
    /// And from one address; 0: as many as in all.
    pub per_address: usize,
    pub timeouts: Timeouts,
    /// Proxies have as many connections as they need.
    pub trusted: Arc<[IpNet]>,
}

/// How a port stops: it accepts no more, waits for what is open, and in the end cuts it.
#[derive(Debug, Clone)]
pub struct Stop {
    pub drain: CancellationToken,
    pub cut: CancellationToken,
    /// From the drain to the cut.
    pub patience: Duration,
}

/// What every connection of a port shares.
struct Port<S> {
    app: S,
    limiter: Arc<ConnectionLimiter>,
    timeouts: Timeouts,
    drain: CancellationToken,
}

/// Serves a port until it is told to stop and every connection has ended.
pub async fn serve<S>(listener: TcpListener, app: S, limits: &Limits, stop: Stop)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let limiter = ConnectionLimiter::new(limits.connections, limits.per_address);
    let port = Arc::new(Port { app, limiter, timeouts: limits.timeouts, drain: stop.drain.clone() });
    let (connections, cut) = (TaskTracker::new(), stop.cut.child_token());
    let open = |(socket, peer): (TcpStream, SocketAddr), slot: OwnedSemaphorePermit| {
        if let Some(permit) = port.enter(slot, peer, &limits.trusted) {
            let serving = port.clone().connection((socket, peer), permit);
            connections.spawn(cut.clone().run_until_cancelled_owned(serving));
        }
    };
    while let Some(accepted) = stop.drain.run_until_cancelled(accept(&listener, &port.limiter)).await {
        if let Some((connection, slot)) = accepted {
            open(connection, slot);
        }
    }
    // Who waits in the backlog by now was let in by the kernel: closed with it, he would be reset.
    for connection in backlog(listener) {
        if let Some(slot) = port.limiter.try_slot() {
            open(connection, slot);
        }
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = tokio::time::sleep(stop.patience) => {}
        () = stop.cut.cancelled() => {}
    }
    cut.cancel();
    connections.wait().await;
}

type Accepted = ((TcpStream, SocketAddr), OwnedSemaphorePermit);

/// The next connection and the room for it.
async fn accept(listener: &TcpListener, limiter: &ConnectionLimiter) -> Option<Accepted> {
    let slot = limiter.slot().await?;
    match listener.accept().await {
        Ok(connection) => Some((connection, slot)),
        Err(error) => {
            tracing::warn!(%error, "a connection can't be accepted");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

/// What a listener still holds; it is closed then.
fn backlog(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let waiting = std::iter::from_fn(|| listener.accept().ok());
    let open = |(socket, peer): (std::net::TcpStream, SocketAddr)| {
        socket.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(socket).ok()?, peer))
    };
    waiting.filter_map(open).collect()
}

impl<S> Port<S> {
    fn enter(&self, slot: OwnedSemaphorePermit, peer: SocketAddr, trusted: &[IpNet]) -> Option<Permit> {
        let permit = self.limiter.enter(slot, peer.ip(), is_trusted(peer.ip(), trusted));
        if permit.is_none() {
            metrics::counter!("policast_connections_refused_total").increment(1);
            tracing::debug!(%peer, "too many connections from this address");
        }
        permit
    }
}

impl<S> Port<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    /// Serves one connection to its end.
    async fn connection(self: Arc<Self>, (socket, peer): (TcpStream, SocketAddr), _permit: Permit) {
        // An answer's last packet must not wait until the one before is acknowledged: a part may be as small as that.
        let _ = socket.set_nodelay(true);
        let requests = Arc::<Requests>::default();
        let io = TokioIo::new(Timed::new(socket, requests.clone(), self.timeouts));
        let (app, stall, asked) = (self.app.clone(), self.timeouts.stall, requests.clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            let begun = asked.begin();
            let mut request = request.map(|body| timed(body, stall));
            request.extensions_mut().insert(ConnectInfo(peer));
            app.clone()
                .oneshot(request)
                .map(|answer| answer.map(|answer| answer.map(|body| Answer { body, _begun: begun })))
        });
        let mut http = http1::Builder::new();
        // The socket has the deadlines, which tell a header from a rest.
        http.timer(TokioTimer::new()).header_read_timeout(None);
        let mut serving = std::pin::pin!(http.serve_connection(io, answer));
        let ending = async {
            tokio::select! {
                () = self.drained(&requests) => {}
                () = self.limiter.asked_to_make_room() => {}
            }
        };
        tokio::select! {
            // Who goes away, or is too slow, is nobody's fault here.
            _ended = serving.as_mut() => return,
            () = ending => serving.as_mut().graceful_shutdown(),
        }
        let _ = serving.await;
    }
}

impl<S> Port<S> {
    /// Returns when the port accepts no more and a connection is to end after its present request, or its first.
    async fn drained(&self, requests: &Requests) {
        self.drain.cancelled().await;
        // Hyper closes a connection at once that nothing was read from; who was let in is answered.
        let _ = tokio::time::timeout(self.timeouts.first_request, requests.first()).await;
    }
}

/// A request's body that may be silent for so long. An empty one stays as it is: a timed one no longer says its length,
/// which S3 asks of every request (`MissingContentLength`).
fn timed(body: Incoming, stall: Duration) -> Body {
    if body.is_end_stream() { Body::empty() } else { Body::new(TimeoutBody::new(stall, body)) }
}

/// An answer's body, with its request until it has been handed over.
struct Answer {
    body: Body,
    _begun: Begun,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn whoever_was_let_in_before_the_port_closed_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let minute = Duration::from_mins(1);
        let limits = Limits {
            connections: 10,
            per_address: 0,
            timeouts: Timeouts { header: minute, idle: minute, stall: minute, first_request: minute },
            trusted: Arc::default(),
        };
        let app = tower::service_fn(async |_: Request| Ok(Response::new(Body::from("answered"))));
        let stop = Stop { drain: CancellationToken::new(), cut: CancellationToken::new(), patience: minute };
        let drain = stop.drain.clone();
        let client = async {
            let mut first = TcpStream::connect(address).await.expect("let in");
            let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
            first.write_all(head).await.expect("sent");
            first.readable().await.expect("an answer");
            // By now the second is no longer in the backlog either.
            let mut second = TcpStream::connect(address).await.expect("let in");
            let mut third = TcpStream::connect(address).await.expect("let in");
            third.write_all(head).await.expect("sent");
            third.readable().await.expect("an answer");
            drain.cancel();
            tokio::task::yield_now().await;
            second.write_all(head).await.expect("sent");
            let mut answer = String::new();
            second.read_to_string(&mut answer).await.expect("an answer, and the end");
            answer
        };
        let (answer, ()) = tokio::join!(client, serve(listener, app, &limits, stop));
        assert!(answer.ends_with("answered"), "{answer}");
    }
}
