//! How many connections there may be in all and from one address; where there are too many, the oldest make room.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A connection that was asked to end and has no request in hand ends within this time.
const EVICTION: Duration = Duration::from_millis(20);

/// Keeps count of the connections of one port.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    slots: Arc<Semaphore>,
    per_address: usize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    make_room: Notify,
}

/// A connection that is counted for as long as this is kept.
#[derive(Debug)]
pub(super) struct Permit {
    _slot: OwnedSemaphorePermit,
    counted: Option<(Arc<ConnectionLimiter>, IpAddr)>,
}

impl ConnectionLimiter {
    /// So many connections in all, and so many from one address; 0: no fewer than in all.
    pub fn new(connections: usize, per_address: usize) -> Arc<Self> {
        let connections = connections.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(connections)),
            per_address: if per_address == 0 { connections } else { per_address },
            addresses: Mutex::default(),
            make_room: Notify::new(),
        })
    }

    /// Room for one more, if there is some now.
    pub fn try_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.slots.clone().try_acquire_owned().ok()
    }

    /// Waits for room for one more. Where there is none the oldest connections are asked to end, one after the other.
    pub async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Some(slot) = self.try_slot() {
                return Some(slot);
            }
            self.make_room.notify_one();
            match timeout(EVICTION, self.slots.clone().acquire_owned()).await {
                Ok(slot) => return slot.ok(),
                Err(_) => metrics::counter!("policast_connections_evicted_total").increment(1),
            }
        }
    }

    /// Counts a connection to its address; `None` where that has too many. Proxies speak for many and aren't counted.
    pub fn enter(
        self: &Arc<Self>,
        slot: OwnedSemaphorePermit,
        peer: IpAddr,
        is_proxy: bool,
    ) -> Option<Permit> {
        if is_proxy {
            return Some(Permit { _slot: slot, counted: None });
        }
        let address = network(peer);
        let mut addresses = self.addresses();
        let count = addresses.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Permit { _slot: slot, counted: Some((self.clone(), address)) })
    }

    /// Returns when this connection, the oldest of those that wait here, is to end after its present request.
    pub async fn asked_to_make_room(&self) {
        self.make_room.notified().await;
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some((limiter, address)) = &self.counted else { return };
        let mut addresses = limiter.addresses();
        if let Some(count) = addresses.get_mut(address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                addresses.remove(address);
            }
        }
    }
}

/// What one client has of addresses: all of IPv4's one, of IPv6 the /64 around it (RFC 4291 2.5.4).
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    async fn enter(limiter: &Arc<ConnectionLimiter>, address: &str) -> Option<Permit> {
        let slot = limiter.slot().await.expect("a slot");
        limiter.enter(slot, peer(address), false)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_connections_and_leaves_the_others_theirs() {
        let limiter = ConnectionLimiter::new(10, 2);
        let held = [enter(&limiter, "2001:db8::1").await, enter(&limiter, "2001:db8::2").await];
        assert!(enter(&limiter, "2001:db8::3").await.is_none(), "neighbours in IPv6 are one");
        assert!(enter(&limiter, "2001:db8:0:1::1").await.is_some());
        drop(held);
        assert!(enter(&limiter, "2001:db8::3").await.is_some());
        assert!(limiter.addresses().is_empty(), "who has gone is forgotten");
        assert_eq!(network(peer("::ffff:192.0.2.1")), peer("192.0.2.1"));
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_no_room_the_oldest_connection_makes_some() {
        let limiter = ConnectionLimiter::new(2, 0);
        let (older, newer) = (enter(&limiter, "192.0.2.1").await, enter(&limiter, "192.0.2.2").await);
        let connection = async |permit: Option<Permit>| {
            limiter.asked_to_make_room().await;
            drop(permit);
        };
        tokio::select! {
            biased;
            () = async { tokio::join!(connection(older), std::future::pending::<()>()); } => {}
            () = connection(newer) => panic!("the newer made room"),
            entered = enter(&limiter, "192.0.2.3") => assert!(entered.is_some()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_speaks_for_many() {
        let limiter = ConnectionLimiter::new(10, 1);
        let _held = enter(&limiter, "192.0.2.1").await;
        let slot = limiter.slot().await.expect("a slot");
        assert!(limiter.enter(slot, peer("192.0.2.1"), true).is_some());
    }
}
