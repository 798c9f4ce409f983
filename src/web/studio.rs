//! The studio: where an agency announces its broadcasts and runs them. The same for everybody: what is in it comes from
//! the API, asked by the page's script with the key of who signs in.

use askama::Template;

use super::frame::{Frame, Reader};
use super::phrases::Phrases;
use super::phrases::studio::Studio;
use super::{assets, links};
use crate::domain::BroadcastId;

/// Languages a broadcast may be announced in, each by its own name; the API takes any.
const SPOKEN: &[(&str, &str)] = &[
    ("zh-Hans", "简体中文"),
    ("zh-Hant", "繁體中文"),
    ("en", "English"),
    ("bo", "བོད་སྐད།"),
    ("ug", "ئۇيغۇرچە"),
    ("mn", "Монгол"),
    ("kk", "Қазақ тілі"),
    ("ko", "한국어"),
];

/// The list of broadcasts and the form that announces one, as HTML.
pub fn render_list(reader: Reader<'_>) -> Result<String, askama::Error> {
    let phrases = reader.phrases();
    let frame = Frame::new(reader);
    List { phrases, frame, words: &phrases.studio, script: script(phrases), id: "" }.render()
}

/// The page of one broadcast as HTML; whether there is one, its script finds out.
pub fn render_broadcast(id: BroadcastId, reader: Reader<'_>) -> Result<String, askama::Error> {
    let phrases = reader.phrases();
    let (frame, id) = (Frame::new(reader), id.to_string());
    Broadcast { phrases, frame, words: &phrases.studio, script: script(phrases), id: &id }.render()
}

/// The phrases its script needs, as JSON.
fn script(phrases: &Phrases) -> String {
    serde_json::to_string(&phrases.studio.script).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "studio_list.html")]
struct List<'a> {
    phrases: &'static Phrases,
    frame: Frame<'a>,
    words: &'static Studio,
    script: String,
    /// None in the list.
    id: &'a str,
}

#[derive(Template)]
#[template(path = "studio_broadcast.html")]
struct Broadcast<'a> {
    phrases: &'static Phrases,
    frame: Frame<'a>,
    words: &'static Studio,
    script: String,
    id: &'a str,
}

impl List<'_> {
    fn other_link(&self) -> String {
        links::here(self.phrases.other_tag, None)
    }

    fn spoken(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        SPOKEN.iter().map(|(tag, name)| (*tag, *name, *tag == self.phrases.tag))
    }
}

impl Broadcast<'_> {
    /// What an encoder is set up with, by its name in the API's JSON.
    fn doors(&self) -> [(&'static str, &'static str); 4] {
        let key = self.words.page.stream_key;
        [("rtmp_url", "RTMP"), ("rtmps_url", "RTMPS"), ("srt_url", "SRT"), ("stream_key", key)]
    }

    fn other_link(&self) -> String {
        links::here(self.phrases.other_tag, None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::reader;
    use super::*;
    use crate::domain::Language;

    fn pages(tag: &str) -> [String; 2] {
        let language: Language = tag.parse().expect("a tag");
        let id = BroadcastId::new();
        [render_list(reader(&language)), render_broadcast(id, reader(&language))]
            .map(|page| page.expect("a page"))
    }

    #[test]
    fn the_key_can_not_end_up_in_an_address() {
        for html in pages("en") {
            let field = html.lines().find(|line| line.contains("type=\"password\"")).expect("a field");
            assert!(!field.contains(" name="), "{field}");
        }
    }

    #[test]
    fn the_pages_bring_no_script_of_their_own() {
        for html in pages("zh-Hans") {
            assert_eq!(html.matches("<script").count(), 1, "{html}");
            assert!(html.contains("noindex") && html.contains("<html lang=\"zh-Hans\">"), "{html}");
            assert!(html.contains("关键帧间隔为 {keyframes} 秒"), "{html}");
        }
    }

    #[test]
    fn the_language_of_the_page_is_the_first_choice() {
        let [list, _] = pages("zh-Hans");
        assert!(
            list.contains("<option value=\"zh-Hans\" lang=\"zh-Hans\" selected>简体中文</option>"),
            "{list}"
        );
    }
}
