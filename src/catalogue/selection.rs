//! Which videos are processed again, page by page along one index: a page costs the same wherever it is.

use sqlx::types::Json;

use super::search::{account_token, topic_token};
use super::{Conn, Error, account, on};
use crate::domain::account::Handle;
use crate::domain::media::{MediaState, Probe};
use crate::domain::topic::Slug;
use crate::domain::{AccountId, Timestamp, UploadId, VideoId};

/// What a reprocessing is narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub video: Option<VideoId>,
    pub account: Option<Handle>,
    pub topic: Option<Slug>,
    pub state: Option<MediaState>,
    pub ladder_before: Option<u32>,
    pub since: Option<Timestamp>,
    /// Only what is degraded or failed.
    pub missing_only: bool,
}

/// A video of a selection, and what it cost before.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Selected {
    pub id: VideoId,
    pub upload_id: Option<UploadId>,
    pub account_id: AccountId,
    pub size_bytes: Option<i64>,
    /// The newest revision, with whatever it knows.
    pub revision: Option<i64>,
    pub state: Option<MediaState>,
    pub probe: Option<Json<Probe>>,
    pub cpu_ms: Option<i64>,
    topic: Slug,
    media_state: MediaState,
    ladder_version: Option<i64>,
    created_at: Timestamp,
    is_deleted: bool,
}

/// Videos that were looked at, of which some are selected.
#[derive(Debug)]
pub struct SelectedPage {
    pub videos: Vec<Selected>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<VideoId>,
}

/// The videos of a page, looked at one by one.
macro_rules! select {
    ($ids:expr) => {
        concat!(
            "select v.id, u.id as upload_id, v.account_id, u.received as size_bytes, r.number as revision, r.state, r.probe,
              r.cpu_ms, t.slug as topic, v.media_state, r.ladder_version, v.created_at,
              v.deleted_at is not null as is_deleted
            from (", $ids, " order by id limit $2) c cross join video v
            join topic t on t.id = v.topic_id
            left join upload u on u.id = v.upload_id and u.state = 'finished'
            left join revision r on r.video_id = v.id
              and r.number = (select max(n.number) from revision n where n.video_id = v.id)
            where v.id = c.id order by v.id"
        )
    };
}

/// As in lists, a range over the columns of an index and in its order: PostgreSQL is not to go through every video by id.
macro_rules! of_state {
    ($state:literal) => {
        concat!(
            "select m.id from (select v.id from video v where (v.media_state, v.id) > (",
            $state,
            ", $1)
               and v.media_state <= ",
            $state,
            " order by v.media_state, v.id limit $2) m"
        )
    };
}

macro_rules! of_token {
    ($state:literal) => {
        concat!(
            "select k.id from (select d.video_id as id from video_token d where d.token = $3 and d.state = '",
            $state,
            "' and d.video_id > $1 order by d.video_id limit $2) k"
        )
    };
}

const ALL: &str = select!("select v.id from video v where v.id > $1");
const ONE: &str = select!("select v.id from video v where v.id > $1 and v.id = $3");
const OF_STATE: &str = select!(of_state!("$3"));
const MISSING: &str = select!(concat!(of_state!("'degraded'"), " union all ", of_state!("'failed'")));
const OF_TOKEN: &str = select!(concat!(
    of_token!("draft"),
    " union all ",
    of_token!("published"),
    " union all ",
    of_token!("withdrawn")
));

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[ALL, ONE, OF_STATE, MISSING, OF_TOKEN];

impl Selection {
    /// Nothing narrows it.
    pub fn is_everything(&self) -> bool {
        self.video.is_none()
            && self.account.is_none()
            && self.topic.is_none()
            && self.state.is_none()
            && self.ladder_before.is_none()
            && self.since.is_none()
            && !self.missing_only
    }

    /// What is being processed, or has no source, is left out.
    fn has(&self, video: &Selected, account: Option<AccountId>) -> bool {
        let missing = matches!(video.media_state, MediaState::Degraded | MediaState::Failed);
        let busy = matches!(video.state, Some(MediaState::Processing | MediaState::Playable));
        let version = video.ladder_version.unwrap_or(0);
        !(busy || video.is_deleted || video.upload_id.is_none())
            && account.is_none_or(|account| video.account_id == account)
            && self.topic.as_ref().is_none_or(|topic| is_below(&video.topic, topic))
            && self.state.is_none_or(|state| video.media_state == state)
            && self.ladder_before.is_none_or(|before| version < i64::from(before))
            && self.since.is_none_or(|since| video.created_at >= since)
            && (missing || !self.missing_only)
    }
}

fn is_below(topic: &Slug, above: &Slug) -> bool {
    let rest = topic.as_str().strip_prefix(above.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Looks at the next `limit` videos after one, by id, of those that the narrowest index of the selection has.
pub async fn select(
    mut conn: Conn<'_>,
    selection: &Selection,
    after: Option<VideoId>,
    limit: u32,
) -> Result<SelectedPage, Error> {
    let account = match &selection.account {
        Some(handle) => account::find_id(conn.again(), handle).await?,
        None => None,
    };
    if selection.account.is_some() && account.is_none() {
        return Ok(SelectedPage { videos: Vec::new(), next: None });
    }
    let (statement, value) = match (selection.video, account, &selection.topic, selection.state) {
        (Some(video), ..) => (ONE, Some(video.to_string())),
        (_, _, Some(topic), _) => (OF_TOKEN, Some(topic_token(topic))),
        (_, Some(account), ..) => (OF_TOKEN, Some(account_token(account))),
        (.., Some(state)) => (OF_STATE, Some(state.to_string())),
        _ if selection.missing_only => (MISSING, None),
        _ => (ALL, None),
    };
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    // Not kept prepared: PostgreSQL then plans it for these values, not for any.
    let mut videos: Vec<Selected> = on!(conn, c => {
        let query = sqlx::query_as(statement).persistent(false).bind(after).bind(i64::from(limit));
        let query = match value {
            Some(value) => query.bind(value),
            None => query,
        };
        query.fetch_all(c).await?
    });
    let is_full = u32::try_from(videos.len()).unwrap_or(u32::MAX) >= limit;
    let next = videos.last().map(|video| video.id).filter(|_| is_full);
    videos.retain(|video| selection.has(video, account));
    Ok(SelectedPage { videos, next })
}
