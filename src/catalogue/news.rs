//! News between the nodes over one PostgreSQL, by LISTEN and NOTIFY. What is missed is found by polling.

use std::collections::BTreeSet;
use std::fmt;

use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use uuid::Uuid;

use super::db::PATIENCE;
use super::{Db, Error, dialect};
use crate::domain::VideoId;

/// What one node tells the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// This video changed, and perhaps there is work now.
    Video(VideoId),
    /// There is work now.
    Work,
    /// A key was revoked.
    Keys,
    /// News were missed: anything may have happened.
    Missed,
}

/// A node's name among its news, so that it doesn't hear itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node(Uuid);

impl Node {
    /// A new name.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video(id) => id.fmt(f),
            Self::Work => f.write_str("work"),
            Self::Keys => f.write_str("keys"),
            Self::Missed => f.write_str("missed"),
        }
    }
}

impl News {
    /// What a node of another version says that this one doesn't know may be anything.
    fn parse(text: &str) -> Self {
        match text {
            "work" => Self::Work,
            "keys" => Self::Keys,
            _ => text.parse().map_or(Self::Missed, Self::Video),
        }
    }
}

/// Tells every other node; on SQLite there is none.
///
/// Never inside the transaction it tells of: PostgreSQL lets commits that notify go only one after the other, each
/// with its flush to disk; a notification by itself flushes nothing.
pub async fn tell(db: &Db, node: Node, news: &BTreeSet<News>) -> Result<(), Error> {
    let Db::Pg(pool) = db else { return Ok(()) };
    let told: Vec<String> = news.iter().map(|news| format!("{}/{news}", node.0)).collect();
    if !told.is_empty() {
        sqlx::query(dialect::NOTIFY).bind(dialect::CHANNEL).bind(told).execute(pool).await?;
    }
    Ok(())
}

/// What the other nodes tell, over a connection of its own.
pub struct Listener {
    node: Node,
    listener: PgListener,
}

impl Listener {
    /// Listens from now on; `None` on SQLite.
    pub async fn open(db: &Db, node: Node) -> Result<Option<Self>, Error> {
        let Db::Pg(pool) = db else { return Ok(None) };
        // Not one of the pool's: a listener holds its connection for ever.
        let options = pool.connect_options().as_ref().clone().application_name("policast listener");
        let own =
            PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&own).await?;
        listener.listen(dialect::CHANNEL).await?;
        Ok(Some(Self { node, listener }))
    }

    /// The next news. After an error a new listener is to be opened.
    pub async fn next(&mut self) -> Result<News, Error> {
        loop {
            // `None`: the connection was lost and is there again.
            let Some(heard) = self.listener.try_recv().await? else { return Ok(News::Missed) };
            if let Some(news) = self.of_others(&heard) {
                return Ok(news);
            }
        }
    }

    fn of_others(&self, heard: &PgNotification) -> Option<News> {
        let (node, news) = heard.payload().split_once('/')?;
        (node != self.node.0.to_string()).then(|| News::parse(news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_survive_their_text() {
        for news in [News::Video(VideoId::new()), News::Work, News::Keys, News::Missed] {
            assert_eq!(News::parse(&news.to_string()), news);
        }
        assert_eq!(News::parse("what a later version says"), News::Missed);
    }
}
