//! Who is at the doors for encoders, by address: how many at a time, and who guesses at keys.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::channel::lock;
use crate::domain::key::Secret;

/// Wrong keys are counted for so long.
const WINDOW: Duration = Duration::from_mins(1);
/// Addresses remembered; beyond it those that only guessed are forgotten.
const ADDRESSES: usize = 10_000;
/// How often an address that is shut out has a key checked: a good one has 128 bits, and is not guessed at any pace.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// What is granted at the doors.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that may be open on one port; more wait in its backlog.
    pub connections: usize,
    /// And from one address, on all ports.
    pub per_address: usize,
    /// How often an address may show one wrong key within a minute before that key is not looked at any more, and how
    /// many different ones before the address is shut out: wrong keys get no answer, and all are checked one by one.
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
    /// Of keys only a hash is kept, which nobody outside can aim at.
    hasher: RandomState,
    known: Mutex<HashMap<IpAddr, Guest>>,
}

/// One address: many encoders may share it.
#[derive(Debug)]
struct Guest {
    here: usize,
    /// Wrong keys and how often each was shown; `Limits::bad_keys` different ones at most.
    wrong: Vec<(u64, u32)>,
    since: Instant,
    /// Where those that are shut out wait for their check, and when the last one showed a wrong key.
    turn: Arc<Semaphore>,
    wrong_at: Instant,
}

/// A connection that is counted for as long as this is kept.
pub(super) struct Stay {
    guests: Arc<Guests>,
    address: IpAddr,
}

/// A key may be checked; where its address is shut out, no other one of it is until this is dropped.
pub(super) struct Turn {
    _turn: Option<OwnedSemaphorePermit>,
}

impl Guests {
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, hasher: RandomState::new(), known: Mutex::default() })
    }

    /// `None` for an address that has too many connections.
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
        if guest.here >= self.limits.per_address {
            return None;
        }
        guest.here += 1;
        Some(Stay { guests: self.clone(), address })
    }
}

impl Guest {
    fn new() -> Self {
        let (now, turn) = (Instant::now(), Arc::new(Semaphore::new(1)));
        Self { here: 0, wrong: Vec::new(), since: now, turn, wrong_at: now }
    }

    /// Wrong keys count for a minute from the first one on.
    fn forgive(&mut self) {
        if self.since.elapsed() >= WINDOW {
            self.wrong.clear();
        }
    }

    fn times(&self, key: u64) -> u32 {
        self.wrong.iter().find(|(known, _)| *known == key).map_or(0, |(_, times)| *times)
    }

    fn is_shut_out(&self, limits: &Limits) -> bool {
        self.wrong.len() >= limits.bad_keys as usize
    }
}

impl Stay {
    /// Waits until the key may be checked; `None` where it was found wrong from here too often.
    pub async fn may_check(&self, key: &Secret) -> Option<Turn> {
        let turn = self.with(|guest, limits| {
            if guest.times(self.hash(key)) >= limits.bad_keys {
                return None;
            }
            Some(guest.is_shut_out(limits).then(|| guest.turn.clone()))
        })?;
        let Some(turn) = turn else { return Some(Turn { _turn: None }) };
        let turn = turn.acquire_owned().await.ok()?;
        sleep_until(self.with(|guest, _| guest.wrong_at) + CHECK_EVERY).await;
        Some(Turn { _turn: Some(turn) })
    }

    /// The key was checked and is wrong; false where its address is shut out and hears no more of that.
    pub fn record_bad_key(&self, key: &Secret) -> bool {
        let key = self.hash(key);
        self.with(|guest, limits| {
            let is_shut_out = guest.is_shut_out(limits);
            guest.wrong_at = Instant::now();
            if guest.wrong.is_empty() {
                guest.since = guest.wrong_at;
            }
            match guest.wrong.iter_mut().find(|(known, _)| *known == key) {
                Some((_, times)) => *times += 1,
                None if is_shut_out => return false,
                None => guest.wrong.push((key, 1)),
            }
            true
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Guest, &Limits) -> T) -> T {
        let mut known = lock(&self.guests.known);
        let guest = known.entry(self.address).or_insert_with(Guest::new);
        guest.forgive();
        look(guest, &self.guests.limits)
    }

    fn hash(&self, key: &Secret) -> u64 {
        self.guests.hasher.hash_one(key.reveal())
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut known = lock(&self.guests.known);
        let Some(guest) = known.get_mut(&self.address) else { return };
        guest.here = guest.here.saturating_sub(1);
        if guest.here == 0 && guest.wrong.is_empty() {
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

    fn key(number: u32) -> Secret {
        Secret::new(format!("live_{number}"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_key_shown_too_often_is_not_looked_at_for_a_minute_and_others_are() {
        let guests = guests();
        let stay = guests.enter(peer("192.0.2.1")).expect("let in");
        for _ in 0..3 {
            assert!(stay.may_check(&key(1)).await.is_some() && stay.record_bad_key(&key(1)));
        }
        assert!(stay.may_check(&key(1)).await.is_none());
        let neighbour = guests.enter(peer("192.0.2.1")).expect("let in");
        let turns = [neighbour.may_check(&key(2)).await, neighbour.may_check(&key(2)).await];
        assert!(turns.iter().all(Option::is_some), "nobody waits for a turn");
        tokio::time::advance(WINDOW).await;
        assert!(stay.may_check(&key(1)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_tries_many_keys_has_them_checked_one_by_one_and_hears_no_more_of_wrong_ones() {
        let guests = guests();
        let stay = guests.enter(peer("192.0.2.1")).expect("let in");
        assert_eq!(
            [1, 2, 3, 4, 5].map(|number| stay.record_bad_key(&key(number))),
            [true, true, true, false, false]
        );
        let begun = Instant::now();
        let turn = stay.may_check(&key(6)).await.expect("a turn");
        assert_eq!(begun.elapsed(), CHECK_EVERY);
        let (good, other) = (key(7), guests.enter(peer("192.0.2.1")).expect("let in"));
        let mut next = std::pin::pin!(other.may_check(&good));
        assert!(futures::poll!(next.as_mut()).is_pending());
        drop(turn);
        assert!(next.await.is_some(), "a good key is looked at in its turn");
        tokio::time::advance(WINDOW).await;
        assert!(stay.record_bad_key(&key(8)));
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
