//! A text whose addresses are links.

use linkify::{LinkFinder, LinkKind};

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    pub text: &'a str,
    /// An address of the web, or somebody's of e-mail.
    pub link: Link,
}

/// Whether a piece leads anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    None,
    Web,
    Mail,
}

impl Piece<'_> {
    /// Where it leads; `None` for plain words.
    pub fn href(&self) -> Option<String> {
        match self.link {
            Link::None => None,
            Link::Web => Some(self.text.to_owned()),
            Link::Mail => Some(format!("mailto:{}", self.text)),
        }
    }
}

/// The pieces of a text, in order; together they are the text. An address ends where Chinese begins: nothing else parts
/// it from the words that follow.
pub fn linked(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_ascii = first.is_ascii();
        let end = rest.find(|c: char| c.is_ascii() != is_ascii).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        if is_ascii {
            pieces.extend(ascii(run));
        } else {
            pieces.push(Piece { text: run, link: Link::None });
        }
        rest = behind;
    }
    pieces
}

fn ascii(text: &str) -> Vec<Piece<'_>> {
    let mut finder = LinkFinder::new();
    finder.url_must_have_scheme(true);
    let spans = finder.spans(text).map(|span| {
        let text = span.as_str();
        let starts_with =
            |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        let link = match span.kind() {
            Some(LinkKind::Url) if starts_with("https://") || starts_with("http://") => Link::Web,
            Some(LinkKind::Email) => Link::Mail,
            _ => Link::None,
        };
        Piece { text, link }
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(text: &str) -> Vec<String> {
        let pieces = linked(text);
        assert_eq!(pieces.iter().map(|piece| piece.text).collect::<String>(), text);
        pieces.iter().filter_map(Piece::href).collect()
    }

    #[test]
    fn an_address_is_a_link_without_what_only_follows_it() {
        assert_eq!(
            links("See https://example.gov/a?b=1&c=2. Then (http://x.example/d)."),
            ["https://example.gov/a?b=1&c=2", "http://x.example/d"]
        );
        assert_eq!(
            links("详见https://example.gov.cn/zc/1.html。更多请访问HTTP://a.example了解"),
            ["https://example.gov.cn/zc/1.html", "HTTP://a.example"]
        );
        assert_eq!(links("Write to air@example.gov, please"), ["mailto:air@example.gov"]);
    }

    #[test]
    fn what_runs_or_is_no_address_is_no_link() {
        for text in
            ["javascript://x%0aalert(1)", "data:text/html,x", "ftp://x.example/a", "example.gov", "a:b", "@"]
        {
            assert_eq!(links(text), Vec::<String>::new(), "{text}");
        }
    }
}
