//! How often a key and an address may ask (GCRA), and how often an address may show a wrong key.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;

use super::{App, Error};
use crate::net::{ForwardedHeader, client_address, network};

/// Seconds' worth of requests that may come at once: a page and its pictures, a script's first steps.
const BURST_SECONDS: u32 = 10;
/// After so many answers those are forgotten who asked nothing lately.
const SWEEP: u32 = 4096;

/// How often who may ask; 0: as often as he likes.
#[derive(Debug, Clone, Default)]
pub struct RateLimits {
    /// In a second, with a key.
    pub per_key: u32,
    /// In a second, without one, from one address.
    pub per_address: u32,
    /// For playback, in a second, from one address.
    pub playback: u32,
    /// Wrong keys from one address, in a minute.
    pub wrong_keys: u32,
    /// Proxies that may say whose request it is.
    pub trusted: Vec<IpNet>,
    pub forwarded: ForwardedHeader,
}

/// A limit for each of many.
struct Meter<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K, StateInformationMiddleware>,
    per_second: u32,
    count: AtomicU32,
}

/// What is left to whoever asked.
struct Left {
    requests: u32,
    of: u32,
    per_second: u32,
}

/// Keeps count.
pub(super) struct Rates {
    keys: Option<Meter<u64>>,
    addresses: Option<Meter<IpAddr>>,
    playback: Option<Meter<IpAddr>>,
    wrong_keys: Option<Meter<IpAddr>>,
    hasher: RandomState,
    trusted: Vec<IpNet>,
    forwarded: ForwardedHeader,
}

/// What is asked for, as far as its limit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// What a whole school asks for at once, behind one address.
    Playback,
    /// What nodes and balancers ask for.
    Inside,
    Api,
}

impl<K: Hash + Eq + Clone> Meter<K> {
    fn new(quota: Option<Quota>, per_second: u32) -> Option<Self> {
        let limiter = RateLimiter::keyed(quota?).with_middleware();
        Some(Self { limiter, per_second, count: AtomicU32::new(0) })
    }

    /// One more; what is left, or how long to wait.
    fn count(&self, who: &K) -> Result<Left, Duration> {
        if self.count.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        match self.limiter.check_key(who) {
            Ok(state) => Ok(Left {
                requests: state.remaining_burst_capacity(),
                of: state.quota().burst_size().get(),
                per_second: self.per_second,
            }),
            Err(not_until) => Err(not_until.wait_time_from(DefaultClock::default().now())),
        }
    }
}

impl Rates {
    pub fn new(limits: &RateLimits) -> Self {
        let second = |count| {
            let burst = NonZeroU32::new(u32::saturating_mul(count, BURST_SECONDS))?;
            Some(Quota::per_second(NonZeroU32::new(count)?).allow_burst(burst))
        };
        let minute = NonZeroU32::new(limits.wrong_keys).map(Quota::per_minute);
        Self {
            keys: Meter::new(second(limits.per_key), limits.per_key),
            addresses: Meter::new(second(limits.per_address), limits.per_address),
            playback: Meter::new(second(limits.playback), limits.playback),
            wrong_keys: Meter::new(minute, 0),
            hasher: RandomState::new(),
            trusted: limits.trusted.clone(),
            forwarded: limits.forwarded,
        }
    }

    /// The limit of what is asked, where there is one. A key that is shown has a limit of its own, before anybody knows
    /// whether it is good: who invents many has the limit of wrong keys.
    fn count(
        &self,
        class: Class,
        key: Option<&HeaderValue>,
        client: IpAddr,
    ) -> Option<Result<Left, Duration>> {
        match (class, key) {
            (Class::Inside, _) => None,
            (Class::Playback, _) => self.playback.as_ref().map(|meter| meter.count(&client)),
            (Class::Api, None) => self.addresses.as_ref().map(|meter| meter.count(&client)),
            (Class::Api, Some(key)) => {
                self.keys.as_ref().map(|meter| meter.count(&self.hasher.hash_one(key.as_bytes())))
            }
        }
    }
}

fn class(path: &str) -> Class {
    let is_below = |folder: &str| path.starts_with(folder);
    if ["/play/", "/watch/", "/embed/", "/assets/"].into_iter().any(is_below) {
        Class::Playback
    } else if ["/health/", "/internal/"].into_iter().any(is_below) {
        Class::Inside
    } else {
        Class::Api
    }
}

/// Refuses who asks too often. A good key is never refused for what others behind the same address do.
pub(super) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    // Who asks without a connection is this process itself.
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        return next.run(request).await;
    };
    let rates = &app.rates;
    let client = network(client_address(peer.ip(), request.headers(), &rates.trusted, rates.forwarded));
    let key = request.headers().get(AUTHORIZATION);
    let (shows_key, counted) = (key.is_some(), rates.count(class(request.uri().path()), key, client));
    let left = match counted.transpose() {
        Ok(left) => left,
        Err(wait) => return Error::TooManyRequests { wait }.into_response(),
    };
    let mut response = next.run(request).await;
    if shows_key
        && response.status().as_u16() == 401
        && let Some(Err(wait)) = rates.wrong_keys.as_ref().map(|meter| meter.count(&client))
    {
        response = Error::TooManyWrongKeys { wait }.into_response();
    }
    if let Some(left) = left {
        left.tell(&mut response);
    }
    response
}

impl Left {
    /// In the words of most clients, and in those of draft-ietf-httpapi-ratelimit-headers-10.
    fn tell(&self, response: &mut Response) {
        let headers = response.headers_mut();
        let Self { requests, of, per_second } = self;
        let mut set = |name, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("x-ratelimit-limit", of.to_string());
        set("x-ratelimit-remaining", requests.to_string());
        set("ratelimit-policy", format!("\"default\";q={of};w={}", of / per_second.max(&1)));
        set(
            "ratelimit",
            format!("\"default\";r={requests};t={}", (of - requests).div_ceil(*per_second.max(&1))),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_limit_and_others_theirs() {
        let rates = Rates::new(&RateLimits { per_key: 1, per_address: 1, ..RateLimits::default() });
        let client = IpAddr::from([192, 0, 2, 1]);
        let (one, other) = (HeaderValue::from_static("Bearer one"), HeaderValue::from_static("Bearer other"));
        let ask = |key| rates.count(Class::Api, key, client).expect("a limit");
        for _ in 0..BURST_SECONDS {
            assert!(ask(Some(&one)).is_ok());
        }
        let wait = ask(Some(&one)).err().expect("too many");
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert!(ask(Some(&other)).is_ok() && ask(None).is_ok());
    }

    #[test]
    fn nothing_is_counted_where_no_limit_is_set() {
        let rates = Rates::new(&RateLimits::default());
        assert!(rates.count(Class::Api, None, IpAddr::from([192, 0, 2, 1])).is_none());
    }

    #[test]
    fn a_school_behind_one_address_plays_under_a_limit_of_its_own() {
        assert_eq!(class("/play/x/master.m3u8"), Class::Playback);
        assert_eq!(class("/embed/x"), Class::Playback);
        assert_eq!(class("/api/v1/videos"), Class::Api);
        assert_eq!(class("/"), Class::Api);
        assert_eq!(class("/health/ready"), Class::Inside);
    }
}
