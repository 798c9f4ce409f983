//! The lists of public videos: the latest, a topic's, an agency's, and what a search found.

use askama::Template;

use super::frame::{Frame, Reader};
use super::phrases::Phrases;
use super::spoken::Spoken;
use super::{assets, links};
use crate::domain::broadcast::BroadcastState;
use crate::domain::{Texts, Timestamp};

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

/// What a list is narrowed to.
#[derive(Debug, Clone)]
pub enum Narrowed {
    Account(Agency),
    Topic(Topic),
}

/// Something with a page of its own: the value that its address has, and its name.
#[derive(Debug, Clone)]
pub struct Named {
    pub value: String,
    pub name: Texts,
}

/// An account, as its own page shows it.
#[derive(Debug, Clone)]
pub struct Agency {
    pub itself: Named,
    pub sector: String,
    pub level: String,
    pub region: String,
    pub above: Option<Named>,
    pub below: Vec<Named>,
}

/// A topic, as its own page shows it.
#[derive(Debug, Clone)]
pub struct Topic {
    pub itself: Named,
    /// From the root of the tree down to the one above it.
    pub above: Vec<Named>,
    pub below: Vec<Named>,
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
    pub starts_at: Option<Timestamp>,
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

impl Narrowed {
    /// The account or topic itself.
    pub fn itself(&self) -> &Named {
        match self {
            Self::Account(agency) => &agency.itself,
            Self::Topic(topic) => &topic.itself,
        }
    }

    /// The parameter of the address that narrows a list to it.
    fn parameter(&self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Topic(_) => "topic",
        }
    }
}

/// A list as HTML.
pub fn render(page: &Page, reader: Reader<'_>) -> Result<String, askama::Error> {
    Home { page, reader, phrases: reader.phrases(), frame: Frame::new(reader) }.render()
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    page: &'a Page,
    reader: Reader<'a>,
    phrases: &'static Phrases,
    frame: Frame<'a>,
}

impl<'a> Home<'a> {
    fn spoken(&self, texts: &'a Texts) -> Spoken<'a> {
        self.reader.spoken(texts)
    }

    fn item_link(&self, item: &Item) -> String {
        links::with(&item.url, "lang", self.phrases.tag)
    }

    /// When it was published, for programs and for people; a broadcast that lies ahead says when it starts instead.
    fn published(&self, item: &Item) -> Option<(String, String)> {
        let time = item.published_at.filter(|_| self.start(item).is_none())?;
        Some((time.to_rfc3339(), (self.phrases.date)(time)))
    }

    fn start(&self, item: &Item) -> Option<(String, String)> {
        let time = item.starts_at.filter(|_| item.is_open() && !item.is_live())?;
        Some((time.to_rfc3339(), (self.phrases.moment)(time)))
    }

    fn topic_link(&self, topic: &Named) -> String {
        links::home(self.phrases.tag, Some(("topic", &topic.value)))
    }

    fn account_link(&self, account: &Named) -> String {
        links::home(self.phrases.tag, Some(("account", &account.value)))
    }

    fn narrowed(&self) -> Option<(&'static str, &'a str)> {
        let narrowed = self.page.narrowed.as_ref()?;
        Some((narrowed.parameter(), &narrowed.itself().value))
    }

    /// The same search on the whole site.
    fn everywhere(&self) -> String {
        self.with_query(links::home(self.phrases.tag, None))
    }

    /// What is said around the words that nothing was found for.
    fn nothing_found(&self) -> (&'static str, &'static str) {
        self.phrases.nothing_found.split_once("{}").unwrap_or((self.phrases.nothing_found, ""))
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
    use super::super::frame::tests::reader;
    use super::*;
    use crate::domain::Language;

    fn item(title: &str) -> Item {
        Item {
            url: "/watch/1".to_owned(),
            title: Texts::one(Language::english(), title),
            account: Texts::one(Language::english(), "Shenyang Ecology"),
            poster: None,
            duration_ms: Some(62_500),
            published_at: None,
            broadcast: None,
            starts_at: None,
        }
    }

    #[test]
    fn a_list_shows_titles_escaped_and_lengths() {
        let page = Page { items: vec![item("Air & <b>water</b>")], ..Page::default() };
        let html = render(&page, reader(&Language::english())).expect("a page");
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
            let html = render(&page, reader(&Language::english())).expect("a page");
            assert!(html.contains(&format!("{mark}</span>")) && !html.contains("1:03"), "{html}");
        }
    }

    #[test]
    fn an_upcoming_broadcast_says_when_in_place_of_when_it_was_announced() {
        let (published_at, starts_at) =
            (Some(Timestamp(1_600_000_000_000)), Some(Timestamp(1_700_000_000_000)));
        let broadcast = Some(BroadcastState::Scheduled);
        let item = Item { published_at, broadcast, starts_at, ..item("Press conference") };
        let page = Page { items: vec![item], ..Page::default() };
        let html = render(&page, reader(&Language::english())).expect("a page");
        let start = "Starts <time datetime=\"2023-11-14T22:13:20Z\" data-told=\"moment\">14 November 2023, 22:13 UTC</time>";
        assert!(html.contains(start) && !html.contains("2020"), "{html}");
    }

    fn named(value: &str, name: &str) -> Named {
        Named { value: value.to_owned(), name: Texts::one(Language::english(), name) }
    }

    #[test]
    fn a_topic_and_an_agency_have_pages_of_their_own() {
        let topic = Topic {
            itself: named("environment/air", "Air"),
            above: vec![named("environment", "Environment")],
            below: vec![named("environment/air/indoor", "Indoor air")],
        };
        let page = Page { narrowed: Some(Narrowed::Topic(topic)), ..Page::default() };
        let html = render(&page, reader(&Language::english())).expect("a page");
        assert!(html.contains("<title>Air · Topics · policast</title>"), "{html}");
        assert!(html.contains(">Air</h1>") && html.matches("<h1").count() == 1, "{html}");
        for link in ["/topics?lang=en", "/?lang=en&#38;topic=environment", "topic=environment%2Fair%2Findoor"]
        {
            assert!(html.contains(link), "{link}: {html}");
        }
        let agency = Agency {
            itself: named("lanting", "Lanting"),
            sector: "environment".to_owned(),
            level: "district".to_owned(),
            region: "Riverside".to_owned(),
            above: Some(named("city", "The city")),
            below: vec![named("street", "The street")],
        };
        let page = Page { narrowed: Some(Narrowed::Account(agency)), ..Page::default() };
        let html = render(&page, reader(&Language::english())).expect("a page");
        assert!(html.contains("<title>Lanting · Agencies · policast</title>"), "{html}");
        for told in [
            ">Lanting</h1>",
            "Environment",
            "District",
            "Riverside",
            "account=city",
            "account=street",
            "/agencies",
        ] {
            assert!(html.contains(told), "{told}: {html}");
        }
    }

    #[test]
    fn what_is_not_found_is_named() {
        for (tag, sentence) in [
            ("en", "Nothing found for <q dir=\"auto\">50 &#60;%</q>."),
            ("zh-Hans", "没有找到与<q dir=\"auto\">50 &#60;%</q>相关的视频。"),
        ] {
            let page = Page { query: "50 <%".to_owned(), ..Page::default() };
            let html = render(&page, reader(&tag.parse().expect("a tag"))).expect("a page");
            assert!(html.contains(sentence), "{html}");
        }
    }

    #[test]
    fn an_empty_list_says_so() {
        let html = render(&Page::default(), reader(&"zh-Hans".parse().expect("a tag"))).expect("a page");
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
        let html = render(&page, reader(&Language::english())).expect("a page");
        assert!(html.contains("?lang=en&#38;q=%E7%A9%BA%E6%B0%94&#38;cursor=c%2B1"), "{html}");
    }

    #[test]
    fn an_hour_is_written_with_its_hours() {
        assert_eq!(clock(3_723_000), "1:02:03");
        assert_eq!(clock(0), "0:00");
    }
}
