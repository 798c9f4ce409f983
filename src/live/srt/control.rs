//! What a node and its process for SRT say to each other: one JSON text a message, with sockets beside some.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};

/// The sockets of the port go together.
const MOST_BESIDE: usize = 2;
/// The longest message names a stream id of 512 bytes, each of which JSON may write as six.
const MESSAGE_BYTES: usize = 16 << 10;

/// What the process is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Comes first, with the sockets of the port: libsrt's, and the other.
    Listen(Listen),
    /// Lets a caller in; what it sends goes to the socket beside.
    Permit { caller: i32 },
    /// Refuses one, with a number of SRT's access control.
    Refuse { caller: i32, code: i32 },
}

/// How to listen.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listen {
    pub latency: Duration,
    pub peer_idle: Duration,
    pub passphrase: Option<String>,
    pub memory_bytes: u64,
    pub tasks: u64,
    pub descriptors: u64,
}

/// What the process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// It does not listen, and ends.
    Failed { why: String },
    /// Somebody wants to be let in. A quick answer is part of the handshake, a later one comes to who is connected.
    Calls { caller: i32, peer: SocketAddr, stream_id: String },
}

/// Two ends of a line that keeps messages apart, and tells when the other end is gone.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a message, and the sockets beside it.
pub fn send(line: impl AsFd, message: &impl Serialize, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_BESIDE))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !beside.is_empty() {
        rights.push(SendAncillaryMessage::ScmRights(beside));
    }
    rustix::net::sendmsg(line, &[IoSlice::new(&text)], &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message and the sockets beside it; none where the other end is gone.
pub fn receive<T: for<'a> Deserialize<'a>>(line: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let (mut text, mut space) =
        (vec![0; MESSAGE_BYTES], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_BESIDE))]);
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let received =
        rustix::net::recvmsg(line, &mut [IoSliceMut::new(&mut text)], &mut rights, RecvFlags::CMSG_CLOEXEC)?;
    let mut beside = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(sockets) = message {
            beside.extend(sockets);
        }
    }
    match received.bytes {
        0 => Ok(None),
        size => Ok(Some((serde_json::from_slice(&text[..size])?, beside))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_goes_with_a_message_and_a_line_that_is_shut_is_told() {
        let (ours, theirs) = pair().expect("a line");
        let (one, other) = pair().expect("another");
        send(&ours, &Order::Permit { caller: 7 }, &[other.as_fd()]).expect("sent");
        drop(other);
        let (order, mut beside) = receive(&theirs).expect("received").expect("a message");
        assert!(matches!(order, Order::Permit { caller: 7 }));
        send(beside.pop().expect("a socket"), &"hello", &[]).expect("sent");
        assert_eq!(
            receive::<String>(&one).expect("received").map(|(text, _)| text).as_deref(),
            Some("hello")
        );
        assert!(receive::<String>(&one).expect("an end").is_none());
    }
}
