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
