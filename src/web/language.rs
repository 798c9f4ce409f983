//! Which of the pages' languages a reader gets.

use crate::domain::Language;

/// The languages the pages are written in, the first one for readers of neither.
pub const OFFERED: [&str; 2] = ["en", "zh-Hans"];

/// The page's language: what `?lang=` asks for, else the best of `Accept-Language` (RFC 9110 12.5.4), else English.
pub fn pick(query: Option<&str>, accept: Option<&str>) -> Language {
    query.and_then(offered).or_else(|| accept.and_then(best_of)).unwrap_or_else(Language::english)
}

fn best_of(accept: &str) -> Option<Language> {
    let mut wanted: Vec<(f32, Language)> = accept.split(',').filter_map(weighed).collect();
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    wanted.into_iter().next().map(|(_, language)| language)
}

fn weighed(range: &str) -> Option<(f32, Language)> {
    let mut parts = range.split(';').map(str::trim);
    let language = offered(parts.next()?)?;
    let weight = match parts.find_map(|part| part.strip_prefix("q=")) {
        Some(text) => text.parse().ok()?,
        None => 1.0,
    };
    (weight > 0.0).then_some((weight, language))
}

/// Traditional Chinese readers are served Simplified rather than English.
fn offered(tag: &str) -> Option<Language> {
    let wanted: Language = tag.parse().ok()?;
    let mut languages = OFFERED.iter().filter_map(|tag| tag.parse::<Language>().ok());
    languages.find(|language| language.primary() == wanted.primary())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(query: Option<&str>, accept: Option<&str>) -> String {
        pick(query, accept).to_string()
    }

    #[test]
    fn the_query_wins_over_the_header() {
        assert_eq!(picked(Some("zh-Hans"), Some("en")), "zh-Hans");
        assert_eq!(picked(Some("en"), Some("zh-CN,zh;q=0.9")), "en");
    }

    #[test]
    fn the_heaviest_language_on_offer_is_taken() {
        assert_eq!(picked(None, Some("zh-CN,zh;q=0.9,en;q=0.8")), "zh-Hans");
        assert_eq!(picked(None, Some("fr, zh;q=0.4, en-GB;q=0.7")), "en");
        assert_eq!(picked(None, Some("en;q=0, zh-TW;q=0.1")), "zh-Hans");
    }

    #[test]
    fn nonsense_reads_as_english() {
        assert_eq!(picked(Some("klingon!"), Some(";;;q=x,,*")), "en");
        assert_eq!(picked(None, None), "en");
    }
}
