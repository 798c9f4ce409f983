//! The embed page: the player alone, in whatever box another page gives it.

use askama::Template;

use super::assets;
use super::phrases::{self, Phrases};
use super::player::Player;
use super::spoken::{Spoken, spoken};
use super::watch::Page;
use crate::domain::Language;

/// The embed page of a video as HTML.
pub fn render(page: &Page, language: &Language) -> Result<String, askama::Error> {
    let phrases = phrases::of(language);
    let embed = Embed {
        page,
        phrases,
        title: spoken(&page.title, language),
        player: Player::new(page, language, phrases),
    };
    embed.render()
}

#[derive(Template)]
#[template(path = "embed.html")]
struct Embed<'a> {
    page: &'a Page,
    phrases: &'static Phrases,
    title: Spoken<'a>,
    player: Player<'a>,
}

#[cfg(test)]
mod tests {
    use super::super::watch::tests::{language, page};
    use super::*;
    use crate::domain::media::MediaState;

    #[test]
    fn the_embed_is_the_player_alone_under_the_videos_title() {
        let html = render(&page(MediaState::Ready), &language("zh-Hans")).expect("a page");
        assert!(html.contains("<media-controller class=\"player\" lang=\"zh-CN\""), "{html}");
        assert!(html.contains("aria-label=\"Cleaner air\" lang=\"en\""), "{html}");
        assert!(!html.contains("<h1") && !html.contains("<footer"), "{html}");
    }

    #[test]
    fn the_embed_waits_as_the_watch_page_does() {
        let html = render(&page(MediaState::Processing), &language("en")).expect("a page");
        assert!(html.contains("role=\"progressbar\""), "{html}");
    }
}
