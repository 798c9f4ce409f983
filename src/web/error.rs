//! The page for what can't be shown.

use askama::Template;

use super::frame::{Frame, Reader};
use super::phrases::{Phrases, Sentence, Wrong};
use super::{assets, links};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status it is answered with.
    pub status: u16,
}

/// The error page as HTML; an unknown status is told by its class.
pub fn render(page: &Page, reader: Reader<'_>) -> Result<String, askama::Error> {
    let phrases = reader.phrases();
    let sentence = sentence(&phrases.wrong, page.status);
    Error { phrases, frame: Frame::new(reader), sentence, status: page.status }.render()
}

#[derive(Template)]
#[template(path = "error.html")]
struct Error<'a> {
    phrases: &'static Phrases,
    frame: Frame<'a>,
    sentence: &'static Sentence,
    status: u16,
}

impl Error<'_> {
    fn other_link(&self) -> String {
        links::here(self.phrases.other_tag, None)
    }
}

fn sentence(wrong: &'static Wrong, status: u16) -> &'static Sentence {
    match status {
        404 => &wrong.not_found,
        401 | 403 => &wrong.not_public,
        410 => &wrong.gone,
        429 => &wrong.too_many,
        502..=504 => &wrong.unavailable,
        400..=499 => &wrong.bad_request,
        _ => &wrong.broken,
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::reader;
    use super::*;

    fn html(status: u16, tag: &str) -> String {
        render(&Page { status }, reader(&tag.parse().expect("a tag"))).expect("a page")
    }

    #[test]
    fn a_missing_page_says_so_in_the_readers_language() {
        assert!(html(404, "en").contains("<h1>Not found</h1>"));
        assert!(html(404, "zh-Hans").contains("<h1>页面不存在</h1>"));
        assert!(html(404, "zh-Hans").contains("<html lang=\"zh-Hans\""));
    }

    #[test]
    fn a_fault_of_ours_is_not_blamed_on_the_reader() {
        assert!(html(500, "en").contains("our fault"));
        assert!(html(503, "en").contains("Unavailable for a moment"));
        assert!(html(418, "en").contains("Bad request"));
    }
}
