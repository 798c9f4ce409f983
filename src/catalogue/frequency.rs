//! How frequent tokens are, as far as it matters for where a search begins: counted up to a few hundred, and beyond that
//! told by how close together the newest of them lie. It costs the same however many there are.

use sqlx::types::Json;

use super::dialect::Dialect;
use super::{Conn, Error, on};
use crate::domain::account::Handle;
use crate::domain::video::VideoState;
use crate::domain::{AccountId, VideoId};

/// Videos of a token that are counted. A search that begins with a token of fewer looks each of them up in the others,
/// at some microseconds each.
const COUNTED: i64 = 500;
/// How many rows of ranges that are merged cost as much as looking up one video in another range (measured: 1 µs to
/// 0.12 on SQLite, 2.2 to 0.2 on PostgreSQL).
const LOOKUP_COST: f64 = 10.0;

/// The tokens are `$1`; the accounts, tokens too, are of the handle `$2` and the id `$3`; the states are `$4`.
macro_rules! frequencies {
    ($each:literal) => {
        concat!(
            "select n.name, n.account_id, s.value as state,
              (select count(*) from (select 1 as one from video_token k
                where k.token = n.token and k.state = s.value limit 500) counted) as videos,
              (select max(k.video_id) from video_token k where k.token = n.token and k.state = s.value) as newest,
              (select k.video_id from video_token k where k.token = n.token and k.state = s.value
                order by k.video_id desc limit 1 offset 499) as oldest
            from (select a.handle as name, a.id as account_id, '@' || a.id as token
                from account a where a.handle = $2 or a.id = $3
              union all select each.value, null, each.value from ", $each, "($1) each) n
            cross join ", $each, "($4) s"
        )
    };
}

const SELECT: Dialect =
    Dialect { sqlite: frequencies!("json_each"), postgres: frequencies!("jsonb_array_elements_text") };

/// The statement that each engine has words of its own for.
pub(super) const DIALECT: &[Dialect] = &[SELECT];

/// How many videos of a state a token or an account has.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Frequency {
    name: String,
    account_id: Option<AccountId>,
    state: VideoState,
    /// At most `COUNTED`.
    videos: i64,
    newest: Option<VideoId>,
    /// Of those counted; `None` where there are fewer.
    oldest: Option<VideoId>,
}

/// What is asked for.
pub(super) struct Question<'a> {
    pub tokens: &'a [String],
    pub account: Option<&'a Handle>,
    pub own: Option<AccountId>,
    pub states: &'a [VideoState],
}

/// How frequent the tokens and accounts are in each of the states. An account that is missing doesn't exist.
pub(super) async fn list(conn: Conn<'_>, question: &Question<'_>) -> Result<Vec<Frequency>, Error> {
    let statement = SELECT.on(&conn);
    let &Question { tokens, account, own, states } = question;
    Ok(on!(conn, c => sqlx::query_as(statement)
        .bind(Json(tokens))
        .bind(account)
        .bind(own)
        .bind(Json(states))
        .fetch_all(c)
        .await?))
}

impl Frequency {
    /// Of this token in this state.
    pub(super) fn is_of(&self, token: &str, state: Option<VideoState>) -> bool {
        self.account_id.is_none() && self.name == token && Some(self.state) == state
    }

    /// Of this account in this state.
    pub(super) fn is_of_account(&self, account: Option<AccountId>, state: Option<VideoState>) -> bool {
        self.account_id.is_some() && self.account_id == account && Some(self.state) == state
    }

    /// The account of a handle.
    pub(super) fn account(&self, handle: &Handle) -> Option<AccountId> {
        self.account_id.filter(|_| self.name == handle.as_str())
    }

    pub(super) fn rarity(&self) -> Rarity {
        let between =
            self.newest.zip(self.oldest).map(|(newest, oldest)| newest.as_u128() - oldest.as_u128());
        #[expect(
            clippy::cast_precision_loss,
            reason = "two such are compared by how many times larger one is"
        )]
        Rarity { videos: self.videos, spread: between.map_or(f64::INFINITY, |between| between as f64) }
    }
}

/// How rare the videos of a token are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rarity {
    videos: i64,
    /// How far the ids of those counted reach; a rarer token's reach further.
    spread: f64,
}

impl Rarity {
    /// Of what wasn't counted.
    pub(super) const UNKNOWN: Self = Self { videos: COUNTED, spread: 1.0 };

    /// More than are counted.
    pub(super) fn is_frequent(&self) -> bool {
        self.videos >= COUNTED
    }

    /// The rarest first.
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.videos.cmp(&other.videos).then(other.spread.total_cmp(&self.spread))
    }

    /// Whether looking up the videos of the first, the rarest, in `lookups` other ranges costs less than merging all.
    pub(super) fn is_worth_lookups(rarest_first: &[Self], lookups: usize) -> bool {
        let Some(rarest) = rarest_first.first() else { return false };
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let looked_up = lookups as f64 * LOOKUP_COST / rarest.spread;
        let merged: f64 = rarest_first.iter().map(|rarity| 1.0 / rarity.spread).sum();
        rarest.videos < COUNTED || looked_up < merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One in so many.
    fn every(distance: f64) -> Rarity {
        Rarity { videos: COUNTED, spread: 500.0 * distance }
    }

    #[test]
    fn a_search_looks_up_what_is_rare_and_merges_what_is_equally_frequent() {
        let few = Rarity { videos: 20, spread: f64::INFINITY };
        assert!(Rarity::is_worth_lookups(&[few, every(1.0)], 1));
        assert!(Rarity::is_worth_lookups(&[every(997.0), every(10.0), every(2.0), every(1.0)], 3));
        assert!(!Rarity::is_worth_lookups(&[every(2.0), every(2.0)], 1));
        assert!(!Rarity::is_worth_lookups(&[every(10.0), every(10.0)], 1));
    }

    #[test]
    fn of_frequent_tokens_the_one_that_is_spread_further_is_the_rarer() {
        assert!(every(10.0).order(&every(2.0)).is_lt());
        assert!(Rarity { videos: 499, spread: f64::INFINITY }.order(&every(1e9)).is_lt());
    }
}
