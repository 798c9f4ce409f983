//! The operator's own face of the pages: name, crest, colours, footer and the links that the law asks for.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::text::{Language, Texts};

/// Contrast that text needs to what lies behind it (WCAG 2.2, 1.4.3).
const READABLE: f64 = 4.5;
/// What the pages are written on.
const LIGHT_PAPER: Colour = Colour([0xff, 0xff, 0xff]);
const DARK_PAPER: Colour = Colour([0x14, 0x17, 0x1b]);

/// How the pages present themselves.
#[derive(Debug, Clone)]
pub struct Site {
    pub name: Texts,
    pub crest: Option<Crest>,
    /// Links and buttons on light pages.
    pub colour: Option<Colour>,
    /// The same on dark pages.
    pub dark_colour: Option<Colour>,
    /// At the end of each page; empty: the name and what it is for.
    pub footer: Texts,
    pub links: Vec<Link>,
}

/// A picture beside the name.
#[derive(Debug, Clone)]
pub struct Crest {
    pub bytes: Vec<u8>,
    pub content_type: &'static str,
    /// Of its bytes, for its address.
    pub fingerprint: String,
}

impl Crest {
    /// A picture of this type.
    pub fn new(bytes: Vec<u8>, content_type: &'static str) -> Self {
        let fingerprint = hex::encode(&Sha256::digest(&bytes)[..8]);
        Self { bytes, content_type, fingerprint }
    }
}

/// A link at the end of each page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub name: Texts,
    pub url: String,
}

/// A colour of sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// A text that says nothing a site could show.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("{0:?} is no colour such as #16498f")]
    Colour(String),
    #[error(
        "{colour} has a contrast of {ratio:.1} to 1 to the {paper} page, at least 4.5 to 1 is needed to read it"
    )]
    Contrast { colour: Colour, ratio: f64, paper: &'static str },
    #[error("neither a text nor texts by language such as {{\"en\": \"…\", \"zh-Hans\": \"…\"}}")]
    Texts(#[source] serde_json::Error),
    #[error("no list such as [{{\"name\": {{\"en\": \"Imprint\"}}, \"url\": \"https://…\"}}]")]
    Links(#[source] serde_json::Error),
    #[error("{0:?} is no address: it begins with https://, http://, mailto: or /")]
    Address(String),
}

impl Default for Site {
    fn default() -> Self {
        Self {
            name: Texts::one(Language::english(), "policast"),
            crest: None,
            colour: None,
            dark_colour: None,
            footer: Texts::default(),
            links: Vec::new(),
        }
    }
}

impl FromStr for Colour {
    type Err = SiteError;

    fn from_str(text: &str) -> Result<Self, SiteError> {
        let wrong = || SiteError::Colour(text.to_owned());
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6).ok_or_else(wrong)?;
        let mut bytes = [0; 3];
        match hex::decode_to_slice(digits, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", hex::encode(self.0))
    }
}

impl Colour {
    /// The colour, where it can be read on light pages.
    pub fn on_light(self) -> Result<Self, SiteError> {
        self.readable(LIGHT_PAPER, "light")
    }

    /// The colour, where it can be read on dark pages.
    pub fn on_dark(self) -> Result<Self, SiteError> {
        self.readable(DARK_PAPER, "dark")
    }

    fn readable(self, behind: Self, paper: &'static str) -> Result<Self, SiteError> {
        let ratio = self.contrast(behind);
        if ratio < READABLE { Err(SiteError::Contrast { colour: self, ratio, paper }) } else { Ok(self) }
    }

    /// From 1 to 21 (WCAG 2.2, contrast ratio).
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// From 0 to 1 (WCAG 2.2, relative luminance).
    fn luminance(self) -> f64 {
        let linear = self.0.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
}

/// A text for all readers, or JSON with one for each language.
pub fn parse_texts(text: &str) -> Result<Texts, SiteError> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(SiteError::Texts);
    }
    // In no language that is known (BCP 47: undetermined).
    Ok("und".parse().map(|language| Texts::one(language, text.trim())).unwrap_or_default())
}

/// JSON with a list of links; a script is no address.
pub fn parse_links(text: &str) -> Result<Vec<Link>, SiteError> {
    let links: Vec<Link> = serde_json::from_str(text).map_err(SiteError::Links)?;
    let leads = |url: &str| {
        ["https://", "http://", "mailto:"].iter().any(|scheme| url.starts_with(scheme))
            || (url.starts_with('/') && !url.starts_with("//"))
    };
    match links.iter().find(|link| !leads(&link.url)) {
        Some(link) => Err(SiteError::Address(link.url.clone())),
        None => Ok(links),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let colour: Result<Colour, _> = text.parse();
        colour.and_then(Colour::on_light).map_or_else(|error| error.to_string(), |colour| colour.to_string())
    }

    #[test]
    fn a_colour_that_nobody_can_read_is_refused_with_its_contrast() {
        assert_eq!(told("#A00000"), "#a00000");
        assert_eq!(
            told("#ffcc00"),
            "#ffcc00 has a contrast of 1.5 to 1 to the light page, at least 4.5 to 1 is needed to read it"
        );
        for wrong in ["red", "#fff", "#12345", "#gggggg", "a00000", "#16498f;}"] {
            assert!(told(wrong).contains("is no colour"), "{wrong}");
        }
        assert!("#16498f".parse::<Colour>().and_then(Colour::on_dark).is_err());
    }

    #[test]
    fn a_text_is_for_all_or_by_language() {
        let all = parse_texts("沈阳视频").expect("texts");
        assert_eq!((all.pick(&Language::english()), all.0.len()), ("沈阳视频", 1));
        let both = parse_texts(r#"{"en": "Shenyang Video", "zh-Hans": "沈阳视频"}"#).expect("texts");
        assert_eq!(both.pick(&Language::english()), "Shenyang Video");
        assert!(parse_texts("{en: x}").is_err());
    }

    #[test]
    fn a_link_leads_to_a_page_and_runs_nothing() {
        let links = parse_links(r#"[{"name": {"en": "Imprint"}, "url": "https://example.org/imprint"}]"#);
        assert_eq!(links.expect("links")[0].url, "https://example.org/imprint");
        for url in ["javascript:alert(1)", "//elsewhere.example", "imprint", ""] {
            let json = serde_json::json!([{"name": {"en": "Imprint"}, "url": url}]).to_string();
            assert!(matches!(parse_links(&json), Err(SiteError::Address(_))), "{url}");
        }
    }
}
