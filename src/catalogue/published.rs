//! What is public, by when it was published: the lists of the pages. Each goes along one index.

use super::search::topic_token;
use super::video::{Video, select};
use super::{Conn, Error, Page, on};
use crate::domain::account::Handle;
use crate::domain::topic::Slug;
use crate::domain::{Timestamp, VideoId};

// The condition on the token's first letter is that of the index.
const LIST: &str = select!(
    "video v where v.state = 'published' and (v.published_at, v.id) < ($1, $2)
     order by v.published_at desc, v.id desc limit $3"
);
const LIST_OF_ACCOUNT: &str = select!(
    "video v where v.account_id = (select o.id from account o where o.handle = $4) and v.state = 'published'
     and (v.published_at, v.id) < ($1, $2) order by v.published_at desc, v.id desc limit $3"
);
const LIST_OF_TOPIC: &str = select!(
    "(select k.video_id as id from video_token k where k.token = $4 and substr(k.token, 1, 1) = '/'
      and k.state = 'published' and (k.published_at, k.video_id) < ($1, $2)
      order by k.published_at desc, k.video_id desc limit $3) x
     cross join video v where v.id = x.id and v.deleted_at is null
     order by v.published_at desc, v.id desc limit $3"
);

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[LIST, LIST_OF_ACCOUNT, LIST_OF_TOPIC];

/// What a list of what is public is narrowed by.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    Everything,
    Account(&'a Handle),
    /// This topic and all below it.
    Topic(&'a Slug),
}

/// Where a page of the list begins: after the video of this id, published then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    published_at: Timestamp,
    id: VideoId,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.published_at.0, self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, id) = text.split_once('.').ok_or(())?;
        let published_at = Timestamp(time.parse().ok().ok_or(())?);
        Ok(Self { published_at, id: id.parse().ok().ok_or(())? })
    }
}

/// A page of public videos, the latest publication first.
pub async fn list(
    conn: Conn<'_>,
    of: Of<'_>,
    cursor: Option<Cursor>,
    limit: u32,
) -> Result<Page<Video>, Error> {
    let (statement, narrowed) = match of {
        Of::Everything => (LIST, None),
        Of::Account(handle) => (LIST_OF_ACCOUNT, Some(handle.to_string())),
        Of::Topic(slug) => (LIST_OF_TOPIC, Some(topic_token(slug))),
    };
    let time = cursor.map_or(Timestamp(i64::MAX), |cursor| cursor.published_at);
    let id = cursor.map_or_else(String::new, |cursor| cursor.id.to_string());
    let rows: Vec<Video> = on!(conn, c => {
        let mut query = sqlx::query_as(statement).bind(time).bind(id).bind(i64::from(limit) + 1);
        if let Some(narrowed) = narrowed {
            query = query.bind(narrowed);
        }
        query.fetch_all(c).await?
    });
    Ok(Page::of(rows, limit, |video| cursor_of(video).to_string()))
}

fn cursor_of(video: &Video) -> Cursor {
    Cursor { published_at: video.published_at.unwrap_or(Timestamp(0)), id: video.id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written_and_nothing_else_is_one() {
        let cursor = Cursor { published_at: Timestamp(1_700_000_000_123), id: VideoId::new() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in
            ["", ".", "1.", "x.0197f0a0-0000-7000-8000-000000000001", "0197f0a0-0000-7000-8000-000000000001"]
        {
            assert_eq!(wrong.parse::<Cursor>(), Err(()), "{wrong}");
        }
    }
}
