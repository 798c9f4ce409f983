//! A connection that ends when its client is too slow: with a header, between two requests, or taking an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::SetOnce;
use tokio::time::{Instant, Sleep, sleep};

/// How slow a client may be.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the header of a request, from its first byte on; for the first also until that comes.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For a body to go on, and for an answer to be taken on.
    pub stall: Duration,
    /// At the end, for a connection that has asked for nothing yet: what a client sends right after it was let in is on
    /// its way.
    pub first_request: Duration,
}

/// How many requests of a connection have begun and how many are answered to the end.
#[derive(Debug, Default)]
pub(super) struct Requests {
    begun: AtomicU64,
    answered: AtomicU64,
    first: SetOnce<()>,
    /// Whoever waits for bytes in the middle of a request: from its end on there is a deadline.
    reader: AtomicWaker,
}

impl Requests {
    /// A request whose header is here; answered when dropped.
    pub fn begin(self: &Arc<Self>) -> Begun {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let _ = self.first.set(());
        Begun(self.clone())
    }

    /// Returns when there was one.
    pub async fn first(&self) {
        self.first.wait().await;
    }

    fn count(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    fn is_busy(&self) -> bool {
        self.count() != self.answered.load(Ordering::Relaxed)
    }
}

/// A request that is being answered.
pub(super) struct Begun(Arc<Requests>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        self.0.reader.wake();
    }
}

/// A socket that can end at once.
pub(super) trait Reset {
    /// What the other side hasn't taken yet is thrown away when the socket is closed; the kernel would keep it, megabytes
    /// for each connection, for as long as it hopes that somebody reads on.
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        let _ = self.set_zero_linger();
    }
}

/// What the next bytes are waited for, after so many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Header(u64),
    Rest(u64),
}

/// A socket with its client's deadlines.
pub(super) struct Timed<S> {
    socket: S,
    requests: Arc<Requests>,
    timeouts: Timeouts,
    reading: Reading,
    deadline: Pin<Box<Sleep>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub fn new(socket: S, requests: Arc<Requests>, timeouts: Timeouts) -> Self {
        let deadline = Box::pin(sleep(timeouts.header));
        Self { socket, requests, timeouts, reading: Reading::Header(0), deadline, stalled: None }
    }

    /// Waits for bytes while none are here: for ever in the middle of a request, whose body has a deadline of its own.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.requests.reader.register(cx.waker());
        if self.requests.is_busy() {
            return Poll::Pending;
        }
        let count = self.requests.count();
        if ![Reading::Header(count), Reading::Rest(count)].contains(&self.reading) {
            self.expect(Reading::Rest(count), self.timeouts.idle);
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Bytes have come: between two requests they are the first of a header.
    fn hear(&mut self) {
        let header = Reading::Header(self.requests.count());
        if !self.requests.is_busy() && self.reading != header {
            self.expect(header, self.timeouts.header);
        }
    }

    fn expect(&mut self, reading: Reading, within: Duration) {
        self.reading = reading;
        self.deadline.as_mut().reset(Instant::now() + within);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if Pin::new(&mut this.socket).poll_read(cx, buf)?.is_ready() {
            this.hear();
            return Poll::Ready(Ok(()));
        }
        this.poll_patience(cx)
    }
}

impl<S: AsyncWrite + Reset + Unpin> Timed<S> {
    /// What writing came to: the client may take nothing for so long, and no longer.
    fn taken<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stall = self.timeouts.stall;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(stall))).as_mut().poll(cx));
        self.socket.reset();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Reset + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.taken(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(cx, slices);
        this.taken(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.socket).poll_flush(cx);
        this.taken(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let closed = Pin::new(&mut this.socket).poll_shutdown(cx);
        this.taken(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    impl Reset for DuplexStream {
        fn reset(&self) {}
    }

    const TIMEOUTS: Timeouts = Timeouts {
        header: Duration::from_secs(10),
        idle: Duration::from_mins(1),
        stall: Duration::from_secs(30),
        first_request: Duration::from_secs(2),
    };

    #[tokio::test(start_paused = true)]
    async fn a_header_has_a_deadline_that_more_of_its_bytes_don_t_move() {
        let (mut client, server) = duplex(64);
        let mut server = Timed::new(server, Arc::default(), TIMEOUTS);
        let begun = Instant::now();
        let drip = async {
            loop {
                client.write_all(b"x").await.expect("written");
                sleep(Duration::from_secs(4)).await;
            }
        };
        let read = async {
            let mut byte = [0];
            while server.read(&mut byte).await.is_ok() {}
        };
        tokio::select! { () = read => {} () = drip => {} }
        assert_eq!(begun.elapsed().as_secs(), TIMEOUTS.header.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_last_and_after_it_a_connection_may_rest_for_a_while() {
        let (mut client, server) = duplex(64);
        let requests = Arc::<Requests>::default();
        let mut server = Timed::new(server, requests.clone(), TIMEOUTS);
        client.write_all(b"x").await.expect("written");
        server.read_u8().await.expect("a header");
        let begun = requests.begin();
        let start = Instant::now();
        let lasting = Duration::from_hours(1);
        let answer = async {
            sleep(lasting).await;
            drop(begun);
        };
        // Who reads already when the answer ends is woken for it.
        let (read, ()) = tokio::join!(server.read_u8(), answer);
        assert_eq!(read.expect_err("silence").kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), (lasting + TIMEOUTS.idle).as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_of_an_answer_is_left() {
        let (_client, server) = duplex(64);
        let mut server = Timed::new(server, Arc::default(), TIMEOUTS);
        let begun = Instant::now();
        assert_eq!(server.write_all(&[0; 65]).await.expect_err("full").kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), TIMEOUTS.stall.as_secs());
    }
}
