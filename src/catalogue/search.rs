//! Search in every script: which words a video has.

use sqlx::types::Json;

use super::dialect::{Dialect, each};
use super::words::{characters, distinct, words};
use super::{Conn, Error, on};
use crate::domain::topic::Slug;
use crate::domain::{AccountId, VideoId};

/// Tokens kept of a video at most; a page of text more would only make the index larger.
const MAX_TOKENS: usize = 400;

const CLEAR: &str = "delete from video_token where video_id = $1";
// Its account is a token too: what is searched there is one more range of the same index.
const INSERT: Dialect = each!(
    "insert into video_token (token, video_id, state)
     select '@' || v.account_id, v.id, v.state from video v where v.id = $1
     union all select each.value, v.id, v.state from video v,",
    "$2",
    "where v.id = $1 on conflict do nothing"
);

const MARK: &str = "update video set indexed = 1 where id = $1 and indexed = 0";
const LIST_STALE: &str =
    "select v.id from video v where v.indexed = 0 and v.deleted_at is null order by v.id desc limit $1";
const FORGET_ACCOUNT: &str = "update video set indexed = 0 where account_id = $1 and indexed <> 0";
const FORGET_TOPIC: &str = "update video set indexed = 0
    where id in (select k.video_id from video_token k where k.token = $1) and indexed <> 0";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[CLEAR, MARK, LIST_STALE, FORGET_ACCOUNT, FORGET_TOPIC];
/// The same of those that each engine has words of its own for.
pub(super) const DIALECT: &[Dialect] = &[INSERT];

/// What a video is found by.
#[derive(Debug, Default)]
pub struct Text {
    /// Its title, and the names of who speaks and of what it is about; each of their characters is found too.
    pub names: String,
    /// What is said of it, as far as there is room.
    pub description: String,
}

impl Text {
    fn tokens(&self) -> Vec<String> {
        let names = words(&self.names).into_iter().chain(characters(&self.names));
        let mut tokens = distinct(names.chain(words(&self.description)).collect());
        tokens.truncate(MAX_TOKENS);
        tokens
    }
}

/// Indexes a video under this text and its topic instead of whatever was before.
pub async fn index(mut conn: Conn<'_>, video: VideoId, topic: &Slug, text: &Text) -> Result<(), Error> {
    on!(conn.again(), c => sqlx::query(CLEAR).bind(video).execute(c).await.map(drop)?);
    let topics = topic.path().iter().map(topic_token).collect::<Vec<_>>();
    let tokens = Json(text.tokens().into_iter().chain(topics).collect::<Vec<_>>());
    let insert = INSERT.on(&conn);
    on!(conn.again(), c => sqlx::query(insert).bind(video).bind(tokens).execute(c).await.map(drop)?);
    mark(conn, video).await.map(drop)
}

/// The index of a video counts as right from the end of the transaction on; false where it did before.
pub async fn mark(conn: Conn<'_>, video: VideoId) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(MARK).bind(video).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Videos whose index is older than the words or names it is made of, the newest first.
pub async fn list_stale(conn: Conn<'_>, most: u32) -> Result<Vec<VideoId>, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(LIST_STALE).bind(i64::from(most)).fetch_all(c).await?))
}

/// An account has another name.
pub async fn forget_account(conn: Conn<'_>, account: AccountId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(FORGET_ACCOUNT).bind(account).execute(c).await.map(drop)?);
    Ok(())
}

/// A topic has another name, which all below it are found by too.
pub async fn forget_topic(conn: Conn<'_>, topic: &Slug) -> Result<(), Error> {
    on!(conn, c => sqlx::query(FORGET_TOPIC).bind(topic_token(topic)).execute(c).await.map(drop)?);
    Ok(())
}

/// The token of all videos of an account.
pub(super) fn account_token(account: AccountId) -> String {
    format!("@{account}")
}

/// The token of all videos of a topic or below it: they lie together in one index, whichever topic each is of.
pub(super) fn topic_token(topic: &Slug) -> String {
    format!("/{topic}")
}
