//! What a page of videos is described by, in one statement however many they are.

use sqlx::types::Json;

use super::dialect::Dialect;
use super::{Conn, Error, on};
use crate::domain::broadcast::BroadcastState;
use crate::domain::job::Job;
use crate::domain::media::{Probe, RungState, Segment, Timeline};
use crate::domain::{AccountId, BroadcastId, Refusal, Texts, Timestamp, UploadId, VideoId};

/// What there is of a video besides its row: the revision that plays, or while none does the newest.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Overview {
    pub video_id: VideoId,
    /// Who speaks.
    pub account_name: Json<Texts>,
    pub revision: Option<i64>,
    /// The upload that the revision was made of.
    pub revision_upload: Option<UploadId>,
    /// Nothing will be added to the revision any more.
    pub settled: bool,
    pub probe: Option<Json<Probe>>,
    pub timeline: Option<Json<Timeline>>,
    pub warnings: Option<Json<Vec<Refusal>>>,
    pub has_poster: bool,
    pub has_storyboard: bool,
    /// In no order.
    pub rungs: Option<Json<Vec<Rung>>>,
    /// Of a revision under way.
    pub packs: Option<Json<Vec<Pack>>>,
    /// Of a revision under way.
    pub work: Option<Json<Vec<Work>>>,
    pub broadcast_id: Option<BroadcastId>,
    pub broadcast_state: Option<BroadcastState>,
    pub starts_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Bytes of the finished source, for its own account only; with it the three below.
    pub source_bytes: Option<i64>,
    pub sha256: Option<String>,
    pub filename: Option<String>,
    pub uploaded_at: Option<Timestamp>,
    /// Other videos of the account with the same source, with commas between.
    pub same_as: Option<String>,
}

/// A rendition, and how much of it there is.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Rung {
    pub name: String,
    pub position: i64,
    /// 1 or 0: SQLite knows no better.
    pub audio: u8,
    pub state: RungState,
    pub error: Option<String>,
    pub bytes: Option<i64>,
    /// The last segment.
    pub last: Option<Segment>,
}

/// A pack of a revision under way.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Pack {
    pub rung: String,
    pub first_segment: i64,
    pub size_bytes: i64,
    pub segments: Vec<Segment>,
}

/// A job at a revision under way.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Work {
    pub job: Job,
    /// From 0 to 1.
    pub progress: f64,
}

/// Whose sources are told.
#[derive(Debug, Clone, Copy)]
pub enum Owner {
    Nobody,
    Account(AccountId),
    Everybody,
}

/// One text: JSON is made from rows by functions of other names on each engine.
macro_rules! overview {
    ($list:literal, $object:literal, $each:literal, $last:literal, $nested:literal) => {
        concat!(
            "select v.id as video_id, a.name as account_name, r.number as revision,
              r.upload_id as revision_upload, coalesce(r.finished_at is not null, false) as settled,
              r.probe, r.timeline, r.warnings, coalesce(r.poster is not null, false) as has_poster,
              coalesce(r.storyboard is not null, false) as has_storyboard,
              (select ", $list, "(", $object, "('name', g.name, 'position', g.position,
                  'audio', case when g.audio then 1 else 0 end, 'state', g.state, 'error', g.error,
                  'bytes', (select cast(sum(p.size_bytes) as bigint) from pack p
                    where p.video_id = g.video_id and p.revision = g.revision and p.rung = g.name),
                  'last', ", $nested, "((select ", $last, " from pack l
                    where l.video_id = g.video_id and l.revision = g.revision and l.rung = g.name
                    order by l.first_segment desc limit 1))))
                from rung g where g.video_id = r.video_id and g.revision = r.number) as rungs,
              case when r.finished_at is null then (select ", $list, "(", $object, "('rung', p.rung,
                  'first_segment', p.first_segment, 'size_bytes', p.size_bytes, 'segments', ", $nested, "(p.segments)))
                from pack p where p.video_id = r.video_id and p.revision = r.number) end as packs,
              case when r.finished_at is null then (select ", $list, "(", $object, "('job', ", $nested, "(j.work),
                  'progress', j.progress))
                from job j where j.video_id = r.video_id and j.revision = r.number) end as work,
              b.id as broadcast_id, b.state as broadcast_state, b.starts_at, b.started_at, b.ended_at,
              u.received as source_bytes, u.sha256, u.filename, u.finished_at as uploaded_at,
              (select string_agg(same.video_id, ',') from (select s.video_id from upload s join video o on o.id = s.video_id
                where s.account_id = v.account_id and s.sha256 = u.sha256 and s.state = 'finished'
                  and s.video_id <> v.id and o.deleted_at is null order by s.video_id limit 10) same) as same_as
            from ", $each, "($1) each join video v on v.id = each.value join account a on a.id = v.account_id
            left join revision r on r.video_id = v.id
              and r.number = coalesce(v.revision, (select max(n.number) from revision n where n.video_id = v.id))
            left join broadcast b on b.video_id = v.id
            left join upload u on u.id = v.upload_id and u.state = 'finished' and ($3 or v.account_id = $2)"
        )
    };
}

const SELECT: Dialect = Dialect {
    sqlite: overview!(
        "json_group_array",
        "json_object",
        "json_each",
        "json_extract(l.segments, '$[#-1]')",
        "json"
    ),
    postgres: overview!(
        "jsonb_agg",
        "jsonb_build_object",
        "jsonb_array_elements_text",
        "l.segments -> -1",
        ""
    ),
};

/// The statement, to be prepared as a check of the schema.
pub(super) const DIALECT: &[Dialect] = &[SELECT];

/// What there is of each of these videos, in no order; one that is gone is left out.
pub async fn list(conn: Conn<'_>, videos: &[VideoId], owner: Owner) -> Result<Vec<Overview>, Error> {
    if videos.is_empty() {
        return Ok(Vec::new());
    }
    let statement = SELECT.on(&conn);
    let (own, all) = match owner {
        Owner::Nobody => (None, false),
        Owner::Account(id) => (Some(id), false),
        Owner::Everybody => (None, true),
    };
    Ok(on!(conn, c => sqlx::query_as(statement).bind(Json(videos)).bind(own).bind(all).fetch_all(c).await?))
}
