//! Search in every script: tokens made by one function of ours, because neither engine splits Chinese into words.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{Conn, Error, on};
use crate::domain::VideoId;
use crate::domain::topic::Slug;

/// Tokens kept of a video at most; a page of text more would only make the index larger.
const MAX_TOKENS: usize = 400;

const CLEAR: &str = "delete from video_token where video_id = $1";
const INSERT: &str = "insert into video_token (token, video_id) values ($1, $2) on conflict do nothing";
// The reason for the range is in `video`.
const COUNT: &str = "select count(*) from (select 1 as one from video_token where token >= $1 and token <= $1
    order by token, video_id limit 1000) counted";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[CLEAR, INSERT, COUNT];

/// Indexes a video under this text and its topic instead of whatever was before.
pub async fn index(mut conn: Conn<'_>, video: VideoId, topic: &Slug, text: &str) -> Result<(), Error> {
    on!(conn.again(), c => sqlx::query(CLEAR).bind(video).execute(c).await.map(drop)?);
    let topics = topic.path().iter().map(topic_token).collect::<Vec<_>>();
    for token in tokens(text).into_iter().take(MAX_TOKENS).chain(topics) {
        on!(conn.again(), c => sqlx::query(INSERT).bind(token).bind(video).execute(c).await.map(drop)?);
    }
    Ok(())
}

/// The token of all videos of a topic or below it: they lie together in one index, whichever topic each is of.
pub(super) fn topic_token(topic: &Slug) -> String {
    format!("/{topic}")
}

/// The same tokens, the one of the fewest videos first; all that more than a thousand have are alike.
pub(super) async fn rarest_first(mut conn: Conn<'_>, tokens: Vec<String>) -> Result<Vec<String>, Error> {
    if tokens.len() < 2 {
        return Ok(tokens);
    }
    let mut counted: Vec<(i64, String)> = Vec::new();
    for token in tokens {
        let videos = on!(conn.again(), c => sqlx::query_scalar(COUNT).bind(&token).fetch_one(c).await?);
        counted.push((videos, token));
    }
    counted.sort_by_key(|(videos, _)| *videos);
    Ok(counted.into_iter().map(|(_, token)| token).collect())
}

/// The tokens of a text: words in lower case without diacritics, and every two neighbours of a CJK run.
pub fn tokens(text: &str) -> Vec<String> {
    let folded: String =
        text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    let mut tokens: Vec<String> = Vec::new();
    for word in folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let chars: Vec<char> = word.chars().collect();
        for run in chars.chunk_by(|a, b| is_cjk(*a) == is_cjk(*b)) {
            match run {
                [first, _, ..] if is_cjk(*first) => {
                    tokens.extend(run.windows(2).map(|pair| pair.iter().collect::<String>()));
                }
                _ => tokens.push(run.iter().take(64).collect()),
            }
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

fn is_cjk(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0x20000..=0x2ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_is_found_by_any_two_neighbours() {
        assert_eq!(tokens("空气质量2026"), ["2026", "气质", "空气", "质量"]);
    }

    #[test]
    fn case_and_diacritics_make_no_difference() {
        assert_eq!(tokens("Qualité de l’AIR"), tokens("qualite DE l'air"));
    }
}
