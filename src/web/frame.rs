//! What stands around every page: the site's name, crest and colours, and the links at its end.

use super::phrases::{self, Phrases};
use super::spoken::{Spoken, spoken};
use crate::domain::Language;
use crate::domain::site::Site;

/// Whom a page is made for, and on which site.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    pub site: &'a Site,
    pub language: &'a Language,
}

impl<'a> Reader<'a> {
    /// The words for this reader.
    pub fn phrases(self) -> &'static Phrases {
        phrases::of(self.language)
    }

    /// The best of a text for this reader.
    pub fn spoken(self, texts: &'a crate::domain::Texts) -> Spoken<'a> {
        spoken(texts, self.language)
    }
}

/// The frame of a page for one reader.
pub struct Frame<'a> {
    pub name: Spoken<'a>,
    /// The crest's address.
    pub crest: Option<String>,
    pub footer: Option<Spoken<'a>>,
    pub links: Vec<(&'a str, Spoken<'a>)>,
    /// The site's own colours, as a style sheet.
    pub style: Option<String>,
}

impl<'a> Frame<'a> {
    /// The site's frame for a reader.
    pub fn new(reader: Reader<'a>) -> Self {
        let site = reader.site;
        Self {
            name: reader.spoken(&site.name),
            crest: site.crest.as_ref().map(|crest| format!("/site/crest?v={}", crest.fingerprint)),
            footer: Some(reader.spoken(&site.footer)).filter(|footer| !footer.text.trim().is_empty()),
            links: site.links.iter().map(|link| (link.url.as_str(), reader.spoken(&link.name))).collect(),
            style: style(site),
        }
    }
}

/// Each colour for the pages it was chosen for; text on it is of the colour of their paper.
fn style(site: &Site) -> Option<String> {
    let of = |scheme: &str, colour: String, ink: &str| {
        format!("@media (prefers-color-scheme:{scheme}){{:root{{--accent:{colour};--accent-ink:{ink}}}}}")
    };
    let light = site.colour.map(|colour| of("light", colour.to_string(), "#ffffff"));
    let dark = site.dark_colour.map(|colour| of("dark", colour.to_string(), "#14171b"));
    if light.is_none() && dark.is_none() { None } else { Some([light, dark].into_iter().flatten().collect()) }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::LazyLock;

    use super::*;

    static PLAIN: LazyLock<Site> = LazyLock::new(Site::default);

    /// A reader of a site that nobody set up.
    pub fn reader(language: &Language) -> Reader<'_> {
        Reader { site: &PLAIN, language }
    }

    #[test]
    fn a_colour_counts_on_the_pages_it_was_chosen_for() {
        let site = Site { dark_colour: "#ffb3b3".parse().ok(), ..Site::default() };
        let style = style(&site).expect("a style");
        assert_eq!(style, "@media (prefers-color-scheme:dark){:root{--accent:#ffb3b3;--accent-ink:#14171b}}");
        assert_eq!(super::style(&Site::default()), None);
    }
}
