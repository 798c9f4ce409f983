//! Search in every script: tokens made by one function of ours, because neither engine splits Chinese into words.

use sqlx::types::Json;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::dialect::{Dialect, each};
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

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[CLEAR];
/// The same of those that each engine has words of its own for.
pub(super) const DIALECT: &[Dialect] = &[INSERT];

/// Indexes a video under this text and its topic instead of whatever was before.
pub async fn index(mut conn: Conn<'_>, video: VideoId, topic: &Slug, text: &str) -> Result<(), Error> {
    on!(conn.again(), c => sqlx::query(CLEAR).bind(video).execute(c).await.map(drop)?);
    let topics = topic.path().iter().map(topic_token).collect::<Vec<_>>();
    let tokens = Json(tokens(text).into_iter().take(MAX_TOKENS).chain(topics).collect::<Vec<_>>());
    let insert = INSERT.on(&conn);
    on!(conn, c => sqlx::query(insert).bind(video).bind(tokens).execute(c).await.map(drop)?);
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
