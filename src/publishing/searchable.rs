//! What videos are found by: their own words, and the names of who speaks and of what they are about.

use std::collections::HashMap;

use tokio::time::Instant;

use super::{Error, Publishing};
use crate::catalogue::search::{self, Text};
use crate::catalogue::video::Video;
use crate::catalogue::{Conn, Tx, account, topic, video};
use crate::domain::{Texts, VideoId};

/// Videos that are indexed anew in one transaction.
const BATCH: u32 = 50;

/// Names that several videos of a batch have.
type Names = HashMap<String, Vec<Texts>>;

/// Indexes a video by its words and names.
pub(super) async fn index(conn: Conn<'_>, video: &Video) -> Result<(), Error> {
    index_with(conn, video, &mut Names::new()).await
}

async fn index_with(mut conn: Conn<'_>, video: &Video, names: &mut Names) -> Result<(), Error> {
    let mut all = vec![video.title.0.clone()];
    let speaker = format!("@{}", video.account);
    if !names.contains_key(&speaker) {
        let found = account::find_by_id(conn.again(), video.account_id).await?;
        names.insert(speaker.clone(), found.into_iter().map(|account| account.name.0).collect());
    }
    if !names.contains_key(video.topic.as_str()) {
        let path = topic::list_path(conn.again(), &video.topic).await?;
        names.insert(video.topic.to_string(), path.into_iter().map(|topic| topic.name.0).collect());
    }
    all.extend([speaker.as_str(), video.topic.as_str()].iter().flat_map(|key| names[*key].clone()));
    let labels = [video.account.as_str(), video.topic.as_str()].map(str::to_owned);
    let text = Text {
        names: all
            .iter()
            .flat_map(|texts| texts.0.values().cloned())
            .chain(labels)
            .collect::<Vec<_>>()
            .join(" "),
        description: video.description.0.0.values().cloned().collect::<Vec<_>>().join(" "),
    };
    Ok(search::index(conn, video.id, &video.topic, &text).await?)
}

impl Publishing {
    /// Indexes anew what is found by names or words that are so no more, the newest first.
    pub async fn index_stale(&self, until: Instant) -> Result<(), Error> {
        loop {
            let ids = search::list_stale(self.db.read().await?.conn(), BATCH).await?;
            if ids.is_empty() || Instant::now() >= until {
                return Ok(());
            }
            let mut tx = self.db.begin().await?;
            index_batch(&mut tx, ids).await?;
            tx.commit().await?;
        }
    }
}

/// In the order of ids, so that two nodes wait for each other instead of for ever.
async fn index_batch(tx: &mut Tx, mut ids: Vec<VideoId>) -> Result<(), Error> {
    let mut names = Names::new();
    ids.sort_unstable();
    for id in ids {
        // Another node has done it, or a change has.
        if !search::mark(tx.conn(), id).await? {
            continue;
        }
        if let Some(video) = video::find(tx.conn(), id).await? {
            index_with(tx.conn(), &video, &mut names).await?;
        }
    }
    Ok(())
}
