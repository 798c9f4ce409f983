//! The ways to all that is public: every topic, and every agency.

use askama::Template;

use super::frame::{Frame, Reader};
use super::home::Named;
use super::phrases::Phrases;
use super::spoken::Spoken;
use super::{assets, links};
use crate::domain::Texts;
use crate::domain::account::Level;
use crate::domain::topic::Slug;

/// The tree of topics, or a page of it.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    pub roots: Vec<Node>,
    /// The cursor of the page after this one.
    pub next: Option<String>,
}

/// A topic with those below it.
#[derive(Debug, Clone)]
pub struct Node {
    pub slug: Slug,
    pub name: Texts,
    pub below: Vec<Node>,
}

/// A page of agencies, perhaps of one level.
#[derive(Debug, Clone, Default)]
pub struct Agencies {
    pub level: Option<Level>,
    pub items: Vec<Agency>,
    /// The cursor of the page after this one.
    pub next: Option<String>,
}

/// One agency of the list.
#[derive(Debug, Clone)]
pub struct Agency {
    pub itself: Named,
    pub sector: String,
    pub level: String,
    pub region: String,
}

/// The topics in order of their slugs as a tree; one whose parent isn't among them is a root.
pub fn tree(topics: Vec<(Slug, Texts)>) -> Vec<Node> {
    let mut roots: Vec<Node> = Vec::new();
    for (slug, name) in topics {
        let mut level = &mut roots;
        while let Some(at) = level.iter().position(|node| is_below(&slug, &node.slug)) {
            level = &mut level[at].below;
        }
        level.push(Node { slug, name, below: Vec::new() });
    }
    roots
}

fn is_below(slug: &Slug, above: &Slug) -> bool {
    slug.as_str().strip_prefix(above.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// The page of all topics as HTML.
pub fn render_topics(page: &Topics, reader: Reader<'_>) -> Result<String, askama::Error> {
    let tree = Branch { nodes: &page.roots, reader }.render()?;
    TopicsPage { page, phrases: reader.phrases(), frame: Frame::new(reader), tree }.render()
}

/// The page of all agencies as HTML.
pub fn render_agencies(page: &Agencies, reader: Reader<'_>) -> Result<String, askama::Error> {
    AgenciesPage { page, reader, phrases: reader.phrases(), frame: Frame::new(reader) }.render()
}

#[derive(Template)]
#[template(path = "topics.html")]
struct TopicsPage<'a> {
    page: &'a Topics,
    phrases: &'static Phrases,
    frame: Frame<'a>,
    tree: String,
}

#[derive(Template)]
#[template(path = "branch.html")]
struct Branch<'a> {
    nodes: &'a [Node],
    reader: Reader<'a>,
}

#[derive(Template)]
#[template(path = "agencies.html")]
struct AgenciesPage<'a> {
    page: &'a Agencies,
    reader: Reader<'a>,
    phrases: &'static Phrases,
    frame: Frame<'a>,
}

impl TopicsPage<'_> {
    fn next_link(&self) -> Option<String> {
        let cursor = self.page.next.as_ref()?;
        Some(links::with(&links::here(self.phrases.tag, None), "cursor", cursor))
    }

    fn other_link(&self) -> String {
        links::here(self.phrases.other_tag, None)
    }
}

impl<'a> Branch<'a> {
    fn name(&self, node: &'a Node) -> Spoken<'a> {
        self.reader.spoken(&node.name)
    }

    fn link(&self, node: &Node) -> String {
        links::home(self.reader.phrases().tag, Some(("topic", node.slug.as_str())))
    }

    fn below(&self, node: &Node) -> Result<String, askama::Error> {
        Branch { nodes: &node.below, reader: self.reader }.render()
    }
}

impl<'a> AgenciesPage<'a> {
    fn name(&self, agency: &'a Agency) -> Spoken<'a> {
        self.reader.spoken(&agency.itself.name)
    }

    fn link(&self, agency: &Agency) -> String {
        links::home(self.phrases.tag, Some(("account", &agency.itself.value)))
    }

    /// Every level with its link, and whether it is the one shown.
    fn levels(&self) -> Vec<(String, &str, bool)> {
        let all = (links::here(self.phrases.tag, None), self.phrases.all_levels, self.page.level.is_none());
        let one = |level: &Level| {
            let link = links::here(self.phrases.tag, Some(("level", level.as_str())));
            (link, self.phrases.level(level.as_str()), self.page.level == Some(*level))
        };
        std::iter::once(all).chain(Level::ALL.iter().map(one)).collect()
    }

    fn level(&self) -> Option<(&'static str, &'static str)> {
        self.page.level.map(|level| ("level", level.as_str()))
    }

    fn other_link(&self) -> String {
        links::here(self.phrases.other_tag, self.level())
    }

    fn next_link(&self) -> Option<String> {
        let cursor = self.page.next.as_ref()?;
        Some(links::with(&links::here(self.phrases.tag, self.level()), "cursor", cursor))
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::reader;
    use super::*;
    use crate::domain::Language;

    #[test]
    fn topics_are_a_tree_however_their_slugs_sort() {
        let slugs = ["air", "air-quality", "air/indoor", "air/indoor/mould", "water/rain"];
        let named = |slug: &str| (slug.parse().expect("a slug"), Texts::one(Language::english(), slug));
        let roots = tree(slugs.map(named).to_vec());
        let outline: Vec<_> = roots.iter().map(|node| (node.slug.as_str(), node.below.len())).collect();
        assert_eq!(outline, [("air", 1), ("air-quality", 0), ("water/rain", 0)]);
        let html =
            render_topics(&Topics { roots, next: None }, reader(&Language::english())).expect("a page");
        assert_eq!(
            (html.matches("<ul class=\"tree\"").count(), html.matches("</ul>").count()),
            (3, 3),
            "{html}"
        );
        assert!(html.contains("href=\"/?lang=en&#38;topic=air%2Findoor%2Fmould\""), "{html}");
    }

    #[test]
    fn agencies_say_what_they_are_and_can_be_narrowed_to_a_level() {
        let itself = Named { value: "lanting".to_owned(), name: Texts::one(Language::english(), "Lanting") };
        let (sector, level) = ("health".to_owned(), "district".to_owned());
        let items = vec![Agency { itself, sector, level, region: "Riverside".to_owned() }];
        let page = Agencies { level: Some(Level::District), items, next: Some("lanting".to_owned()) };
        let html = render_agencies(&page, reader(&Language::english())).expect("a page");
        assert!(html.contains("Health · District"), "{html}");
        assert!(html.contains("aria-current=\"page\">District</a>"), "{html}");
        assert!(html.contains("?lang=en&#38;level=district&#38;cursor=lanting"), "{html}");
    }
}
