//! The home page: the latest published videos, and a search over them.

use askama::Template;

use super::phrases::{self, Phrases};
use super::spoken::{Spoken, spoken};
use super::{assets, links};
use crate::domain::broadcast::BroadcastState;
use crate::domain::{Language, Texts, Timestamp};

/// One page of published videos, perhaps narrowed.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What was searched for; empty for the latest.
    pub query: String,
    /// The account or topic the list is narrowed to.
    pub narrowed: Option<Narrowed>,
    pub items: Vec<Item>,
    /// The cursor of the page after this one.
    pub next: Option<String>,
}

/// What a list is narrowed to, by the parameter that does it.
#[derive(Debug, Clone)]
pub struct Narrowed {
    pub by: NarrowedBy,
    /// The account's handle or the topic's slug.
    pub value: String,
    pub name: Texts,
}

/// The parameter a list is narrowed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NarrowedBy {
    Account,
    Topic,
}

/// One published video.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its watch page.
    pub url: String,
    pub title: Texts,
    pub account: Texts,
    pub poster: Option<String>,
    pub duration_ms: Option<u64>,
    pub published_at: Option<Timestamp>,
    /// Of a broadcast: how it stands.
    pub broadcast: Option<BroadcastState>,
}

impl Item {
    fn length(&self) -> Option<String> {
        self.duration_ms.filter(|_| !self.is_open()).map(clock)
    }

    /// The recording of a broadcast that is not over says nothing yet.
    fn is_open(&self) -> bool {
        self.broadcast.is_some_and(|state| state != BroadcastState::Ended)
    }

    fn is_live(&self) -> bool {
        matches!(self.broadcast, Some(BroadcastState::Live | BroadcastState::Interrupted))
    }
}

/// The home page as HTML.
pub fn render(page: &Page, language: &Language) -> Result<String, askama::Error> {
    Home { page, language, phrases: phrases::of(language) }.render()
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    page: &'a Page,
    language: &'a Language,
    phrases: &'static Phrases,
}

impl<'a> Home<'a> {
    fn spoken(&self, texts: &'a Texts) -> Spoken<'a> {
        spoken(texts, self.language)
    }

    fn item_link(&self, item: &Item) -> String {
        links::with(&item.url, "lang", self.phrases.tag)
    }

    /// When, for programs and for people.
    fn published(&self, item: &Item) -> Option<(String, String)> {
        item.published_at.map(|time| (time.to_rfc3339(), (self.phrases.date)(time)))
    }

    fn narrowed(&self) -> Option<(&'static str, &'a str)> {
        let narrowed = self.page.narrowed.as_ref()?;
        let name = match narrowed.by {
            NarrowedBy::Account => "account",
            NarrowedBy::Topic => "topic",
        };
        Some((name, &narrowed.value))
    }

    fn other_link(&self) -> String {
        self.with_query(links::here(self.phrases.other_tag, self.narrowed()))
    }

    fn next_link(&self) -> Option<String> {
        let cursor = self.page.next.as_ref()?;
        let here = self.with_query(links::here(self.phrases.tag, self.narrowed()));
        Some(links::with(&here, "cursor", cursor))
    }

    fn with_query(&self, link: String) -> String {
        if self.page.query.is_empty() { link } else { links::with(&link, "q", &self.page.query) }
    }
}

/// `1:02:03`, or `2:03` under an hour.
fn clock(duration_ms: u64) -> String {
    let seconds = duration_ms.div_ceil(1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(title: &str) -> Item {
        Item {
            url: "/watch/1".to_owned(),
            title: Texts::one(Language::english(), title),
            account: Texts::one(Language::english(), "Shenyang Ecology"),
            poster: None,
            duration_ms: Some(62_500),
            published_at: None,
            broadcast: None,
        }
    }

    #[test]
    fn a_list_shows_titles_escaped_and_lengths() {
        let page = Page { items: vec![item("Air & <b>water</b>")], ..Page::default() };
        let html = render(&page, &Language::english()).expect("a page");
        assert!(html.contains("Air &#38; &#60;b&#62;water&#60;/b&#62;"), "{html}");
        assert!(html.contains("1:03"), "{html}");
        assert!(html.contains("href=\"/watch/1?lang=en\""), "{html}");
    }

    #[test]
    fn a_broadcast_says_how_it_stands_in_place_of_its_length() {
        for (state, mark) in [(BroadcastState::Scheduled, "Upcoming"), (BroadcastState::Interrupted, "Live")]
        {
            let item = Item { broadcast: Some(state), ..item("Press conference") };
            let page = Page { items: vec![item], ..Page::default() };
            let html = render(&page, &Language::english()).expect("a page");
            assert!(html.contains(&format!("{mark}</span>")) && !html.contains("1:03"), "{html}");
        }
    }

    #[test]
    fn an_empty_list_says_so() {
        let html = render(&Page::default(), &"zh-Hans".parse().expect("a tag")).expect("a page");
        assert!(html.contains("这里还没有视频。"), "{html}");
    }

    #[test]
    fn the_next_page_keeps_the_search() {
        let page = Page {
            query: "空气".to_owned(),
            next: Some("c+1".to_owned()),
            items: vec![item("Air")],
            narrowed: None,
        };
        let html = render(&page, &Language::english()).expect("a page");
        assert!(html.contains("?lang=en&#38;q=%E7%A9%BA%E6%B0%94&#38;cursor=c%2B1"), "{html}");
    }

    #[test]
    fn an_hour_is_written_with_its_hours() {
        assert_eq!(clock(3_723_000), "1:02:03");
        assert_eq!(clock(0), "0:00");
    }
}
