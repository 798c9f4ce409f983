//! The watch page: one video with who speaks, what it explains, and a player as soon as it can be played.

use askama::Template;

use super::phrases::{self, Phrases};
use super::player::Player;
use super::spoken::{Spoken, spoken};
use super::{assets, links};
use crate::domain::media::MediaState;
use crate::domain::{Language, Refusal, Texts, Timestamp, VideoId};

/// All the watch and embed pages show; addresses are absolute and carry the token where one is needed.
#[derive(Debug, Clone)]
pub struct Page {
    pub id: VideoId,
    pub title: Texts,
    pub description: Texts,
    /// The language spoken in the video.
    pub language: Language,
    pub account: Account,
    /// From the root of the tree to the video's own topic.
    pub topics: Vec<Topic>,
    pub media: Media,
    pub published_at: Option<Timestamp>,
    pub draft: bool,
    /// Why it was withdrawn, as the public may read it; nothing is played then.
    pub withdrawn: Option<Texts>,
    /// Server-sent events with the video's JSON; `None` where nothing will change any more.
    pub events: Option<String>,
    /// This page and the embed page, without a token.
    pub url: String,
    pub embed_url: String,
    /// The token the page was asked for with, kept in its own links.
    pub token: Option<String>,
}

/// The verified account that speaks.
#[derive(Debug, Clone)]
pub struct Account {
    pub handle: String,
    pub name: Texts,
    pub sector: String,
    pub level: String,
    pub verified: bool,
}

/// One node of the topic's path.
#[derive(Debug, Clone)]
pub struct Topic {
    pub slug: String,
    pub name: Texts,
}

/// What there is to play, and how far it is.
#[derive(Debug, Clone)]
pub struct Media {
    pub state: MediaState,
    /// From 0 to 1.
    pub progress: f64,
    pub hls: String,
    pub poster: Option<Poster>,
    /// A WebVTT file of thumbnails.
    pub storyboard: Option<String>,
    pub error: Option<Refusal>,
    pub warnings: Vec<Refusal>,
}

/// The still shown before playback.
#[derive(Debug, Clone)]
pub struct Poster {
    pub url: String,
    pub alt: Texts,
}

impl Page {
    /// There is something to play, and it may be played.
    pub fn is_playable(&self) -> bool {
        let playable =
            matches!(self.media.state, MediaState::Playable | MediaState::Ready | MediaState::Degraded);
        playable && self.withdrawn.is_none()
    }
}

/// The page as HTML.
pub fn render(page: &Page, language: &Language) -> Result<String, askama::Error> {
    Watch::new(page, language).render()
}

#[derive(Template)]
#[template(path = "watch.html")]
struct Watch<'a> {
    page: &'a Page,
    language: &'a Language,
    phrases: &'static Phrases,
    title: Spoken<'a>,
    description: Spoken<'a>,
    account: Spoken<'a>,
    player: Player<'a>,
}

impl<'a> Watch<'a> {
    fn new(page: &'a Page, language: &'a Language) -> Self {
        let phrases = phrases::of(language);
        Self {
            page,
            language,
            phrases,
            title: spoken(&page.title, language),
            description: spoken(&page.description, language),
            account: spoken(&page.account.name, language),
            player: Player::new(page, language, phrases),
        }
    }

    fn topics(&self) -> Vec<(String, Spoken<'_>)> {
        let link = |topic: &'a Topic| links::home(self.phrases.tag, Some(("topic", &topic.slug)));
        self.page.topics.iter().map(|topic| (link(topic), spoken(&topic.name, self.language))).collect()
    }

    fn account_link(&self) -> String {
        links::home(self.phrases.tag, Some(("account", &self.page.account.handle)))
    }

    /// When, for programs and for people.
    fn published(&self) -> Option<(String, String)> {
        self.page.published_at.map(|time| (time.to_rfc3339(), (self.phrases.date)(time)))
    }

    fn other_link(&self) -> String {
        let token = self.page.token.as_deref().map(|token| ("token", token));
        links::here(self.phrases.other_tag, token)
    }

    /// What a viewer should know of a video that plays.
    fn notices(&self) -> Vec<&str> {
        let draft = self.page.draft.then_some(self.phrases.draft);
        let degraded = self.page.draft && self.page.media.state == MediaState::Degraded;
        let warnings = self.page.media.warnings.iter().map(|warning| (self.phrases.refusal)(warning));
        draft.into_iter().chain(warnings).chain(degraded.then_some(self.phrases.degraded)).collect()
    }

    /// One line for those who show the address of this page.
    fn summary(&self) -> String {
        let words: Vec<&str> = self.description.text.split_whitespace().collect();
        words.join(" ").chars().take(200).collect()
    }

    fn embed_code(&self) -> String {
        let title = self.title.text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        format!(
            "<iframe src=\"{}\" title=\"{title}\" width=\"640\" height=\"360\" \
             allow=\"autoplay; fullscreen; picture-in-picture\" allowfullscreen></iframe>",
            self.page.embed_url
        )
    }
}
