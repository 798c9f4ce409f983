//! Which connection a datagram belongs to, and how many there are.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

/// A second of 10 Mbit/s. What doesn't fit is lost, and SRT asks for it again.
const INBOX: usize = 1024;

/// The connections of one listener.
#[derive(Clone, Default)]
pub struct Routes(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    by_socket: HashMap<u32, Route>,
    by_peer: HashMap<(SocketAddr, u32), u32>,
}

struct Route {
    peer: SocketAddr,
    inbox: mpsc::Sender<Bytes>,
    answer: Option<Bytes>,
}

/// One connection's place; free again when dropped.
pub struct Seat {
    routes: Routes,
    pub socket: u32,
    pub peer: SocketAddr,
    pub peer_socket: u32,
    pub inbox: mpsc::Receiver<Bytes>,
}

/// What is known of a caller that asks again.
pub enum Known {
    No,
    Undecided,
    Permitted(Bytes),
}

impl Routes {
    pub fn count(&self) -> usize {
        self.table().by_socket.len()
    }

    pub fn known(&self, peer: SocketAddr, peer_socket: u32) -> Known {
        let table = self.table();
        let route = table.by_peer.get(&(peer, peer_socket)).and_then(|socket| table.by_socket.get(socket));
        match route {
            None => Known::No,
            Some(Route { answer: None, .. }) => Known::Undecided,
            Some(Route { answer: Some(answer), .. }) => Known::Permitted(answer.clone()),
        }
    }

    /// None where that socket is taken.
    pub fn seat(&self, socket: u32, peer: SocketAddr, peer_socket: u32) -> Option<Seat> {
        let mut table = self.table();
        if socket == 0 || table.by_socket.contains_key(&socket) {
            return None;
        }
        let (sender, inbox) = mpsc::channel(INBOX);
        table.by_socket.insert(socket, Route { peer, inbox: sender, answer: None });
        table.by_peer.insert((peer, peer_socket), socket);
        Some(Seat { routes: self.clone(), socket, peer, peer_socket, inbox })
    }

    pub fn deliver(&self, socket: u32, peer: SocketAddr, datagram: &[u8]) {
        if let Some(route) = self.table().by_socket.get(&socket).filter(|route| route.peer == peer) {
            let _ = route.inbox.try_send(Bytes::copy_from_slice(datagram));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// From now on the same conclusion gets the same answer.
    pub fn permit(&self, answer: Bytes) {
        if let Some(route) = self.routes.table().by_socket.get_mut(&self.socket) {
            route.answer = Some(answer);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.routes.table();
        table.by_socket.remove(&self.socket);
        table.by_peer.remove(&(self.peer, self.peer_socket));
    }
}
