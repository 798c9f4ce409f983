//! The table of rungs: the renditions of a revision.

use super::{Conn, Error, on};
use crate::domain::VideoId;
use crate::domain::media::RungState;

/// A rendition; audio is one too.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Rung {
    pub name: String,
    /// Highest first.
    pub position: i64,
    pub audio: bool,
    pub width: i64,
    pub height: i64,
    /// RFC 6381, known with the first segment.
    pub codecs: Option<String>,
    pub state: RungState,
    pub error: Option<String>,
}

const LIST: &str = "select name, position, audio, width, height, codecs, state, error from rung
    where video_id = $1 and revision = $2 order by position";
const INSERT: &str = "insert into rung (video_id, revision, name, position, audio, width, height, state)
    values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing";
const SET_CODECS: &str = "update rung set codecs = $4, state = 'encoding'
    where video_id = $1 and revision = $2 and name = $3 and state = 'queued'";
const SET_STATE: &str =
    "update rung set state = $4, error = $5 where video_id = $1 and revision = $2 and name = $3";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[LIST, INSERT, SET_CODECS, SET_STATE];

/// The rungs of a revision, highest first, audio last.
pub async fn list(conn: Conn<'_>, video: VideoId, revision: u32) -> Result<Vec<Rung>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST).bind(video).bind(i64::from(revision)).fetch_all(c).await?))
}

/// Adds a rung.
pub async fn insert(conn: Conn<'_>, (video, revision): (VideoId, u32), rung: &Rung) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT)
        .bind(video)
        .bind(i64::from(revision))
        .bind(&rung.name)
        .bind(rung.position)
        .bind(rung.audio)
        .bind(rung.width)
        .bind(rung.height)
        .bind(rung.state)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// The rung's initialisation segment is in the bucket, with these codecs.
pub async fn set_codecs(
    conn: Conn<'_>,
    (video, revision): (VideoId, u32),
    name: &str,
    codecs: &str,
) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_CODECS)
        .bind(video)
        .bind(i64::from(revision))
        .bind(name)
        .bind(codecs)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// How far the rung is, and why it failed.
pub async fn set_state(
    conn: Conn<'_>,
    (video, revision): (VideoId, u32),
    name: &str,
    (state, error): (RungState, Option<&str>),
) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_STATE)
        .bind(video)
        .bind(i64::from(revision))
        .bind(name)
        .bind(state)
        .bind(error)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}
