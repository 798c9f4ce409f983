//! The embed page: the player alone, in whatever box another page gives it.

use askama::Template;

use super::assets;
use super::frame::{Frame, Reader};
use super::phrases::Phrases;
use super::player::Player;
use super::spoken::Spoken;
use super::watch::Page;

/// The embed page of a video as HTML.
pub fn render(page: &Page, reader: Reader<'_>) -> Result<String, askama::Error> {
    let embed = Embed {
        page,
        phrases: reader.phrases(),
        frame: Frame::new(reader),
        title: reader.spoken(&page.title),
        player: Player::new(page, reader),
    };
    embed.render()
}

#[derive(Template)]
#[template(path = "embed.html")]
struct Embed<'a> {
    page: &'a Page,
    phrases: &'static Phrases,
    frame: Frame<'a>,
    title: Spoken<'a>,
    player: Player<'a>,
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::reader;
    use super::super::watch::tests::{language, page};
    use super::*;
    use crate::domain::media::MediaState;

    #[test]
    fn the_embed_is_the_player_alone_under_the_videos_title() {
        let html = render(&page(MediaState::Ready), reader(&language("zh-Hans"))).expect("a page");
        assert!(html.contains("<media-controller class=\"player\" lang=\"zh-CN\""), "{html}");
        assert!(html.contains("aria-label=\"Cleaner air\" lang=\"en\""), "{html}");
        assert!(!html.contains("<h1") && !html.contains("<footer"), "{html}");
    }

    #[test]
    fn the_embed_waits_as_the_watch_page_does() {
        let html = render(&page(MediaState::Processing), reader(&language("en"))).expect("a page");
        assert!(html.contains("role=\"progressbar\""), "{html}");
    }
}
