//! The player's place in a page: what is shown there, and what its script is told.

use askama::Template;

use super::phrases::Phrases;
use super::spoken::{Spoken, spoken};
use super::watch::Page;
use crate::domain::Language;
use crate::domain::media::MediaState;

/// What stands where the player is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage<'a> {
    Play,
    /// Not yet.
    Wait(&'a str),
    /// Not at all: a heading and the reason.
    Never(&'a str, Spoken<'a>),
}

/// What stands where the player is, as HTML.
#[derive(Template)]
#[template(path = "player.html")]
pub struct Player<'a> {
    pub page: &'a Page,
    pub phrases: &'static Phrases,
    pub stage: Stage<'a>,
    pub title: Spoken<'a>,
    pub poster_alt: Spoken<'a>,
    /// From 0 to 100.
    pub percent: u8,
    /// The phrases its script needs, as JSON.
    pub script_phrases: String,
}

impl<'a> Player<'a> {
    /// The player of `page` for one reader.
    pub fn new(page: &'a Page, language: &'a Language, phrases: &'static Phrases) -> Self {
        let nothing = Spoken { text: "", lang: phrases.tag };
        Self {
            page,
            phrases,
            stage: stage(page, language, phrases),
            title: spoken(&page.title, language),
            poster_alt: page.media.poster.as_ref().map_or(nothing, |poster| spoken(&poster.alt, language)),
            percent: percent(page.media.progress),
            script_phrases: serde_json::to_string(&phrases.player).unwrap_or_default(),
        }
    }

    /// The master playlist's address; nothing for what can never be played.
    fn hls(&self) -> &str {
        if matches!(self.stage, Stage::Never(..)) { "" } else { &self.page.media.hls }
    }

    /// The poster's address, or nothing.
    fn poster(&self) -> &str {
        self.page.media.poster.as_ref().map_or("", |poster| &poster.url)
    }

    /// The storyboard's address, or nothing.
    fn storyboard(&self) -> &str {
        self.page.media.storyboard.as_deref().unwrap_or_default()
    }

    /// Where events come from; nothing for a video whose media are settled or that isn't shown.
    fn events(&self) -> &str {
        let settled =
            matches!(self.page.media.state, MediaState::Ready | MediaState::Degraded | MediaState::Failed);
        let events = self.page.events.as_deref().filter(|_| !settled && self.page.withdrawn.is_none());
        events.unwrap_or_default()
    }
}

fn stage<'a>(page: &'a Page, language: &'a Language, phrases: &'static Phrases) -> Stage<'a> {
    if let Some(reason) = &page.withdrawn {
        return Stage::Never(phrases.withdrawn, spoken(reason, language));
    }
    match page.media.state {
        MediaState::Playable | MediaState::Ready | MediaState::Degraded => Stage::Play,
        MediaState::Waiting => Stage::Wait(phrases.waiting),
        MediaState::Processing => Stage::Wait(phrases.processing),
        MediaState::Failed => {
            let text = page.media.error.as_ref().map_or("", |error| (phrases.refusal)(error));
            Stage::Never(phrases.failed, Spoken { text, lang: phrases.tag })
        }
    }
}

fn percent(progress: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "held between 0 and 100 before"
    )]
    let percent = (progress.clamp(0.0, 1.0) * 100.0) as u8;
    percent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_leaves_its_bar() {
        let all = [-1.0, 0.0, 0.426, 1.0, 7.0, f64::NAN].map(percent);
        assert_eq!(all, [0, 0, 42, 100, 100, 0]);
    }
}
