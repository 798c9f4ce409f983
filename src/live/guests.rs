//! Who is at the doors for encoders, by address: how many at a time, and who guesses at keys.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::channel::lock;

/// Bad keys are counted for so long.
const WINDOW: Duration = Duration::from_mins(1);
/// Addresses remembered; beyond it those that only guessed are forgotten.
const ADDRESSES: usize = 10_000;

/// What is granted at the doors.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that may be open on one port; more wait in its backlog.
    pub connections: usize,
    /// And from one address, on all ports.
    pub per_address: usize,
    /// Bad keys an address may show within a minute before it is shut out for the rest of it.
    pub bad_keys: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 2_000, per_address: 200, bad_keys: 20 }
    }
}

/// Keeps count.
#[derive(Debug)]
pub(super) struct Guests {
    limits: Limits,
    known: Mutex<HashMap<IpAddr, Guest>>,
}

#[derive(Debug)]
struct Guest {
    here: usize,
    bad_keys: u32,
    since: Instant,
}

/// A connection that is counted for as long as this is kept.
pub(super) struct Stay {
    guests: Arc<Guests>,
    address: IpAddr,
}

impl Guests {
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, known: Mutex::default() })
    }

    /// `None` for an address that has too many connections, or showed too many bad keys lately.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Stay> {
        let address = network(peer);
        let mut known = lock(&self.known);
        if known.len() >= ADDRESSES {
            known.retain(|_, guest| guest.here > 0 || guest.since.elapsed() < WINDOW);
        }
        if known.len() >= ADDRESSES {
            known.retain(|_, guest| guest.here > 0);
        }
        let guest = known.entry(address).or_insert_with(Guest::new);
        let banned = guest.bad_keys >= self.limits.bad_keys && guest.since.elapsed() < WINDOW;
        if banned || guest.here >= self.limits.per_address {
            return None;
        }
        guest.here += 1;
        Some(Stay { guests: self.clone(), address })
    }
}

impl Guest {
    fn new() -> Self {
        Self { here: 0, bad_keys: 0, since: Instant::now() }
    }
}

impl Stay {
    /// It showed a bad key.
    pub fn blame(&self) {
        let mut known = lock(&self.guests.known);
        let guest = known.entry(self.address).or_insert_with(Guest::new);
        if guest.since.elapsed() >= WINDOW {
            (guest.bad_keys, guest.since) = (0, Instant::now());
        }
        guest.bad_keys += 1;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut known = lock(&self.guests.known);
        let Some(guest) = known.get_mut(&self.address) else { return };
        guest.here = guest.here.saturating_sub(1);
        if guest.here == 0 && guest.bad_keys == 0 {
            known.remove(&self.address);
        }
    }
}

/// Who has one address of IPv6 has the /64 around it (RFC 4291 2.5.4).
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guests() -> Arc<Guests> {
        Guests::new(Limits { per_address: 2, bad_keys: 3, ..Limits::default() })
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_too_many_bad_keys_is_shut_out_for_a_minute() {
        let (guests, bad, other) = (guests(), peer("192.0.2.1"), peer("192.0.2.2"));
        (0..3).for_each(|_| guests.enter(bad).expect("let in").blame());
        assert!(guests.enter(bad).is_none() && guests.enter(other).is_some());
        tokio::time::advance(WINDOW).await;
        assert!(guests.enter(bad).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_connections_and_no_more() {
        let (guests, greedy) = (guests(), peer("192.0.2.1"));
        let stays = [guests.enter(greedy), guests.enter(greedy)];
        assert!(guests.enter(greedy).is_none() && guests.enter(peer("192.0.2.2")).is_some());
        drop(stays);
        assert!(guests.enter(greedy).is_some());
        assert!(lock(&guests.known).is_empty(), "who has gone and did nothing bad is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn neighbours_in_ipv6_are_one_and_mapped_addresses_are_ipv4() {
        let guests = guests();
        let stays = [guests.enter(peer("2001:db8::1")), guests.enter(peer("2001:db8::2"))];
        assert!(guests.enter(peer("2001:db8::3")).is_none());
        assert!(guests.enter(peer("2001:db8:0:1::1")).is_some());
        assert_eq!(network(peer("::ffff:192.0.2.1")), peer("192.0.2.1"));
        drop(stays);
    }
}
