//! The player's place in a page: what is shown there, and what its script is told.

use askama::Template;

use super::frame::Reader;
use super::phrases::{self, Phrases};
use super::spoken::{Spoken, spoken};
use super::watch::{Broadcast, Page};
use crate::domain::Language;
use crate::domain::broadcast::BroadcastState;
use crate::domain::media::MediaState;

/// What stands where the player is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage<'a> {
    Play,
    /// A broadcast that has not begun.
    Announce(Broadcast),
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
    pub fn new(page: &'a Page, reader: Reader<'a>) -> Self {
        let (language, phrases) = (reader.language, reader.phrases());
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

    fn is_portrait(&self) -> bool {
        self.page.media.is_portrait()
    }

    /// How many times as wide as high the picture is.
    fn shape(&self) -> Option<String> {
        let (width, height) = self.page.media.size?;
        Some(format!("{:.4}", f64::from(width) / f64::from(height.max(1))))
    }

    /// The poster's address, or nothing.
    fn poster(&self) -> &str {
        self.page.media.poster.as_ref().map_or("", |poster| &poster.url)
    }

    /// The storyboard's address, or nothing.
    fn storyboard(&self) -> &str {
        self.page.media.storyboard.as_deref().unwrap_or_default()
    }

    /// Where events come from; nothing for what is settled or isn't shown.
    fn events(&self) -> &str {
        let settled =
            matches!(self.page.media.state, MediaState::Ready | MediaState::Degraded | MediaState::Failed);
        let over = settled && !self.page.broadcast.is_some_and(|broadcast| broadcast.is_open());
        let never = matches!(self.stage, Stage::Never(..));
        self.page.events.as_deref().filter(|_| !over && !never).unwrap_or_default()
    }

    /// The broadcast's state, or nothing for what never was one.
    fn broadcast(&self) -> &'static str {
        self.page.broadcast.map_or("", |broadcast| broadcast.state.as_str())
    }

    /// The player may have to show what is live.
    fn is_live(&self) -> bool {
        self.page.broadcast.is_some_and(|broadcast| broadcast.is_open())
    }

    /// What is said around a broadcast.
    fn words(&self) -> &'static phrases::Broadcast {
        &self.phrases.player.broadcast
    }

    /// The start of a broadcast that lies ahead, for programs and for people without our script.
    fn start(&self, broadcast: &Broadcast) -> Option<(String, String)> {
        broadcast.starts_at.map(|time| (time.to_rfc3339(), (self.phrases.moment)(time)))
    }
}

fn stage<'a>(page: &'a Page, language: &'a Language, phrases: &'static Phrases) -> Stage<'a> {
    if let Some(reason) = &page.withdrawn {
        return Stage::Never(phrases.withdrawn, spoken(reason, language));
    }
    if let Some(broadcast) = page.broadcast
        && let Some(stage) = stage_of(broadcast, page.media.state, phrases)
    {
        return stage;
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

/// What a broadcast shows; `None` for a recording, which is a video like any other.
fn stage_of(broadcast: Broadcast, media: MediaState, phrases: &'static Phrases) -> Option<Stage<'static>> {
    match (broadcast.state, media) {
        // An encoder has come, and what viewers begin with is not whole yet: that is a matter of seconds.
        (BroadcastState::Scheduled | BroadcastState::Waiting, _) | (_, MediaState::Waiting)
            if broadcast.is_open() =>
        {
            Some(Stage::Announce(broadcast))
        }
        (BroadcastState::Ended, MediaState::Waiting) => {
            Some(Stage::Never(phrases.player.broadcast.unrecorded, Spoken { text: "", lang: phrases.tag }))
        }
        (BroadcastState::Ended, _) => None,
        _ => Some(Stage::Play),
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
    use super::super::watch::Poster;
    use super::super::watch::tests::{html, page};
    use super::*;
    use crate::domain::Timestamp;

    fn shown(state: BroadcastState, media: MediaState) -> Page {
        let mut page = page(media);
        let [now, starts_at] = [0, 7_500_000].map(|after| Timestamp(1_700_000_000_000 + after));
        page.broadcast = Some(Broadcast { state, starts_at: Some(starts_at), now });
        page
    }

    #[test]
    fn a_broadcast_that_has_not_begun_counts_down_to_its_start() {
        let page = shown(BroadcastState::Scheduled, MediaState::Waiting);
        let html = html(&page, "en");
        assert!(html.contains("data-starts=\"1700007500000\" data-now=\"1700000000000\""), "{html}");
        assert!(html.contains("<time datetime=\"2023-11-15T00:18:20Z\">15 November 2023, 00:18 UTC</time>"));
        assert!(html.contains("role=\"timer\"") && html.contains("The broadcast will begin here by itself."));
        assert!(html.contains("<template id=\"player\"><media-controller"), "{html}");
    }

    #[test]
    fn what_is_waited_for_shows_its_poster() {
        let alt = crate::domain::Texts::one(Language::english(), "The press room");
        let mut announced = shown(BroadcastState::Scheduled, MediaState::Waiting);
        let mut processed = page(MediaState::Processing);
        for page in [&mut announced, &mut processed] {
            let before = html(page, "en");
            assert!(!before.contains("<img"), "{before}");
            page.media.poster = Some(Poster { url: "https://v.test/p.jpg".to_owned(), alt: alt.clone() });
            let image =
                "<img class=\"backdrop\" src=\"https://v.test/p.jpg\" alt=\"The press room\" lang=\"en\">";
            let html = html(page, "en");
            assert_eq!(html.matches(image).count(), 1, "{html}");
        }
    }

    #[test]
    fn an_encoder_that_is_late_or_just_came_is_waited_for() {
        for state in [BroadcastState::Waiting, BroadcastState::Live] {
            let html = html(&shown(state, MediaState::Waiting), "zh-Hans");
            assert!(html.contains("正在等待直播信号"), "{html}");
            assert!(html.contains(&format!("data-broadcast=\"{state}\"")), "{html}");
        }
    }

    #[test]
    fn what_is_live_is_played_and_followed_to_its_end() {
        for state in [BroadcastState::Live, BroadcastState::Interrupted] {
            let html = html(&shown(state, MediaState::Playable), "en");
            assert!(html.contains("<media-controller") && !html.contains("<template"), "{html}");
            assert!(html.contains("class=\"golive\"") && html.contains("data-events=\"https"), "{html}");
            assert!(html.contains("role=\"status\" hidden>Higher qualities"), "{html}");
        }
    }

    #[test]
    fn a_recording_is_a_video_like_any_other() {
        let html = html(&shown(BroadcastState::Ended, MediaState::Ready), "en");
        assert!(html.contains("<media-controller") && !html.contains("golive"), "{html}");
        assert!(html.contains("data-events=\"\""), "{html}");
    }

    #[test]
    fn a_broadcast_nothing_came_to_says_so() {
        let html = html(&shown(BroadcastState::Ended, MediaState::Waiting), "en");
        assert!(
            html.contains("There is no recording of it.") && !html.contains("<media-controller"),
            "{html}"
        );
        assert!(html.contains("data-events=\"\""), "{html}");
    }

    #[test]
    fn progress_never_leaves_its_bar() {
        let all = [-1.0, 0.0, 0.426, 1.0, 7.0, f64::NAN].map(percent);
        assert_eq!(all, [0, 0, 42, 100, 100, 0]);
    }
}
