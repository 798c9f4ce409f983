//! The watch page: one video with who speaks, what it explains, and a player as soon as it can be played.

use askama::Template;

use super::frame::{Frame, Reader};
use super::linked::{Piece, linked};
use super::phrases::Phrases;
use super::player::Player;
use super::spoken::Spoken;
use super::{assets, links};
use crate::domain::broadcast::BroadcastState;
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
    /// The live event it is watched at, or was recorded from.
    pub broadcast: Option<Broadcast>,
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

/// The account that speaks.
#[derive(Debug, Clone)]
pub struct Account {
    pub handle: String,
    pub name: Texts,
    pub sector: String,
    pub level: String,
}

/// One node of the topic's path.
#[derive(Debug, Clone)]
pub struct Topic {
    pub slug: String,
    pub name: Texts,
}

/// A live event, as the page finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broadcast {
    pub state: BroadcastState,
    pub starts_at: Option<Timestamp>,
    /// This server's clock: the viewer's may be wrong by minutes, and the countdown with it.
    pub now: Timestamp,
}

impl Broadcast {
    /// Something may still come.
    pub fn is_open(&self) -> bool {
        self.state != BroadcastState::Ended
    }
}

/// What there is to play, and how far it is.
#[derive(Debug, Clone)]
pub struct Media {
    pub state: MediaState,
    /// From 0 to 1.
    pub progress: f64,
    pub hls: String,
    pub poster: Option<Poster>,
    /// Width and height of the picture, where they are known.
    pub size: Option<(u32, u32)>,
    /// A WebVTT file of thumbnails.
    pub storyboard: Option<String>,
    pub error: Option<Refusal>,
    pub warnings: Vec<Refusal>,
}

impl Media {
    /// Higher than wide.
    pub fn is_portrait(&self) -> bool {
        self.size.is_some_and(|(width, height)| height > width)
    }
}

/// The still shown before playback.
#[derive(Debug, Clone)]
pub struct Poster {
    pub url: String,
    pub alt: Texts,
}

/// The page as HTML.
pub fn render(page: &Page, reader: Reader<'_>) -> Result<String, askama::Error> {
    Watch::new(page, reader).render()
}

#[derive(Template)]
#[template(path = "watch.html")]
struct Watch<'a> {
    page: &'a Page,
    reader: Reader<'a>,
    phrases: &'static Phrases,
    frame: Frame<'a>,
    title: Spoken<'a>,
    description: Spoken<'a>,
    account: Spoken<'a>,
    player: Player<'a>,
}

impl<'a> Watch<'a> {
    fn new(page: &'a Page, reader: Reader<'a>) -> Self {
        Self {
            page,
            reader,
            phrases: reader.phrases(),
            frame: Frame::new(reader),
            title: reader.spoken(&page.title),
            description: reader.spoken(&page.description),
            account: reader.spoken(&page.account.name),
            player: Player::new(page, reader),
        }
    }

    fn topics(&self) -> Vec<(String, Spoken<'_>)> {
        let link = |topic: &'a Topic| links::home(self.phrases.tag, Some(("topic", &topic.slug)));
        self.page.topics.iter().map(|topic| (link(topic), self.reader.spoken(&topic.name))).collect()
    }

    /// Better qualities are being made of what plays; of what is live they are not.
    fn is_growing(&self) -> bool {
        self.page.media.state == MediaState::Playable && !self.page.broadcast.is_some_and(|at| at.is_open())
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

    /// The description in pieces; addresses in it are links.
    fn pieces(&self) -> Vec<Piece<'_>> {
        linked(self.description.text)
    }

    /// One line for those who show the address of this page.
    fn summary(&self) -> String {
        let words: Vec<&str> = self.description.text.split_whitespace().collect();
        words.join(" ").chars().take(200).collect()
    }

    /// Of the player in others' pages.
    fn size(&self) -> (u32, u32) {
        if self.page.media.is_portrait() { (720, 1280) } else { (1280, 720) }
    }

    fn embed_code(&self) -> String {
        let (width, height) = self.size();
        let (width, height) = (width / 2, height / 2);
        let title = self.title.text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        format!(
            "<iframe src=\"{}\" title=\"{title}\" width=\"{width}\" height=\"{height}\" \
             allow=\"autoplay; fullscreen; picture-in-picture\" allowfullscreen></iframe>",
            self.page.embed_url
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::frame::tests::reader;
    use super::*;
    use crate::domain::RefusalCode;

    const HOSTILE: &str = r#"</title><script>alert("1")</script> '"><img src=x onerror=alert(1)> 空气 🚀"#;

    pub fn language(tag: &str) -> Language {
        tag.parse().expect("a tag")
    }

    pub fn page(state: MediaState) -> Page {
        let english = Language::english();
        Page {
            id: "0197f0a0-0000-7000-8000-000000000001".parse().expect("an id"),
            title: Texts::one(english.clone(), "Cleaner air"),
            description: Texts::default(),
            language: english.clone(),
            account: Account {
                handle: "shenyang-ecology".to_owned(),
                name: Texts::one(language("zh-Hans"), "沈阳市生态环境局"),
                sector: "environment".to_owned(),
                level: "municipal".to_owned(),
            },
            topics: vec![Topic { slug: "environment/air".to_owned(), name: Texts::one(english, "Air") }],
            media: Media {
                state,
                progress: 0.4,
                hls: "https://v.test/play/1/master.m3u8?token=a&b".to_owned(),
                poster: None,
                size: None,
                storyboard: None,
                error: None,
                warnings: vec![],
            },
            broadcast: None,
            published_at: Some(Timestamp(1_700_000_000_000)),
            draft: false,
            withdrawn: None,
            events: Some("https://v.test/api/v1/videos/1/events".to_owned()),
            url: "https://v.test/watch/1".to_owned(),
            embed_url: "https://v.test/embed/1".to_owned(),
            token: None,
        }
    }

    pub fn html(page: &Page, tag: &str) -> String {
        render(page, reader(&language(tag))).expect("a page")
    }

    #[test]
    fn a_hostile_text_stays_text_wherever_it_stands() {
        let texts = Texts::one(Language::english(), HOSTILE);
        let mut page = page(MediaState::Ready);
        page.media.poster = Some(Poster { url: "https://v.test/p.jpg".to_owned(), alt: texts.clone() });
        page.topics[0] = Topic { slug: HOSTILE.to_owned(), name: texts.clone() };
        page.account.name = texts.clone();
        page.account.sector = HOSTILE.to_owned();
        page.account.handle = HOSTILE.to_owned();
        page.description = texts.clone();
        page.title = texts;
        let html = html(&page, "en");
        assert_eq!(html.matches("<script").count(), 1, "only the player's own");
        assert!(!html.contains("<img src=x"), "{html}");
        assert!(!html.contains("'\"><"), "{html}");
        assert!(html.contains("空气 🚀</h1>"), "{html}");
    }

    #[test]
    fn a_playable_video_is_played_and_still_followed() {
        let html = html(&page(MediaState::Playable), "en");
        assert!(html.contains("<media-controller"), "{html}");
        assert!(!html.contains("<template"), "{html}");
        assert!(html.contains("data-hls=\"https://v.test/play/1/master.m3u8?token=a&#38;b\""), "{html}");
        assert!(html.contains("data-events=\"https://v.test/api"), "{html}");
        assert!(html.contains("role=\"status\">Higher qualities are still being prepared."), "{html}");
    }

    #[test]
    fn a_ready_video_is_followed_no_more() {
        assert!(html(&page(MediaState::Ready), "en").contains("data-events=\"\""));
    }

    #[test]
    fn a_video_in_processing_shows_how_far_it_is_and_keeps_its_player_back() {
        let html = html(&page(MediaState::Processing), "en");
        assert!(html.contains("aria-valuenow=\"40\""), "{html}");
        assert!(html.contains("<template id=\"player\"><media-controller"), "{html}");
    }

    #[test]
    fn a_video_without_a_source_shows_no_progress() {
        let html = html(&page(MediaState::Waiting), "en");
        assert!(html.contains("has not been uploaded yet"), "{html}");
        assert!(html.contains("aria-valuenow=\"40\" hidden"), "{html}");
    }

    #[test]
    fn a_failed_video_says_why_in_the_readers_language() {
        let mut page = page(MediaState::Failed);
        page.media.error =
            Some(Refusal::new(RefusalCode::NoVideoStream, "the file has sound, but no pictures"));
        assert!(html(&page, "en").contains("the file has sound, but no pictures"));
        let chinese = html(&page, "zh-Hans");
        assert!(chinese.contains("该文件中没有视频画面。") && !chinese.contains("no pictures"), "{chinese}");
        assert!(!chinese.contains("<media-controller"), "{chinese}");
    }

    #[test]
    fn a_withdrawn_video_gives_its_reason_and_no_address_to_play() {
        let mut page = page(MediaState::Ready);
        page.withdrawn = Some(Texts::one(Language::english(), "The figures were wrong."));
        let html = html(&page, "en");
        assert!(html.contains("The figures were wrong."), "{html}");
        assert!(!html.contains("master.m3u8") && !html.contains("og:video"), "{html}");
        assert!(html.contains("noindex"), "{html}");
    }

    #[test]
    fn a_draft_keeps_its_token_in_its_own_links_and_out_of_search_engines() {
        let mut page = page(MediaState::Degraded);
        page.draft = true;
        page.token = Some("a+b".to_owned());
        page.media.warnings = vec![Refusal::new(RefusalCode::Truncated, "the file ends early")];
        let html = html(&page, "en");
        assert!(html.contains("href=\"?lang=zh-Hans&#38;token=a%2Bb\""), "{html}");
        assert!(html.contains("<li>the file ends early</li>"), "{html}");
        assert!(html.contains("noindex") && html.contains("\"same-origin\""), "{html}");
    }

    #[test]
    fn the_page_can_be_shown_by_others() {
        let mut page = page(MediaState::Ready);
        let alt = Texts::one(Language::english(), "A clear sky");
        page.media.poster = Some(Poster { url: "https://v.test/p.jpg".to_owned(), alt });
        let html = html(&page, "en");
        let told = |line: &&str| line.starts_with("<meta property") || line.contains("rel=\"alternate");
        let metas: Vec<&str> = html.lines().filter(told).collect();
        insta::assert_snapshot!(metas.join("\n"), @r#"
        <link rel="alternate" hreflang="en" href="https://v.test/watch/1?lang=en">
        <link rel="alternate" hreflang="zh-Hans" href="https://v.test/watch/1?lang=zh-Hans">
        <link rel="alternate" hreflang="x-default" href="https://v.test/watch/1">
        <meta property="og:site_name" content="policast">
        <meta property="og:type" content="video.other">
        <meta property="og:title" content="Cleaner air">
        <meta property="og:url" content="https://v.test/watch/1">
        <meta property="og:video" content="https://v.test/embed/1">
        <meta property="og:video:type" content="text/html">
        <meta property="og:video:width" content="1280">
        <meta property="og:video:height" content="720">
        <meta property="og:image" content="https://v.test/p.jpg">
        <meta property="og:image:alt" content="A clear sky">
        "#);
    }

    #[test]
    fn a_name_in_another_language_says_which() {
        let html = html(&page(MediaState::Ready), "en");
        assert!(html.contains("lang=\"zh-Hans\" dir=\"auto\">沈阳市生态环境局</a>"), "{html}");
        assert!(html.contains("<html lang=\"en\">"), "{html}");
    }
}
