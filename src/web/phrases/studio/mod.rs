//! What the studio says: the pages on which an agency runs its broadcasts.

mod chinese;
mod english;

use serde::Serialize;

pub use chinese::STUDIO as CHINESE;
pub use english::STUDIO as ENGLISH;

/// Words by the API's stable code or state.
pub type Table = &'static [(&'static str, &'static str)];

/// Labels and sentences of the studio's pages.
pub struct Studio {
    pub name: &'static str,
    pub no_script: &'static str,
    pub key: &'static str,
    pub key_hint: &'static str,
    pub sign_in: &'static str,
    pub sign_out: &'static str,
    pub close: &'static str,
    pub reload: &'static str,
    pub list: List,
    pub announce: Announce,
    pub page: Page,
    pub health: Health,
    pub script: Script,
}

/// The list of broadcasts.
pub struct List {
    pub heading: &'static str,
    pub none: &'static str,
    pub title: &'static str,
    pub state: &'static str,
    pub start: &'static str,
    pub more: &'static str,
}

/// The form that announces one.
pub struct Announce {
    pub heading: &'static str,
    pub account: &'static str,
    pub title: &'static str,
    pub topic: &'static str,
    pub language: &'static str,
    pub starts_at: &'static str,
    pub starts_hint: &'static str,
    pub slate: &'static str,
    pub slate_hint: &'static str,
    pub submit: &'static str,
}

/// The page of one broadcast.
pub struct Page {
    pub all: &'static str,
    pub watch: &'static str,
    pub draft: &'static str,
    pub publish: &'static str,
    pub end: &'static str,
    pub preview: &'static str,
    pub no_preview: &'static str,
    pub poster: &'static str,
    pub poster_file: &'static str,
    pub poster_hint: &'static str,
    pub poster_alt: &'static str,
    pub poster_alt_hint: &'static str,
    pub remove_poster: &'static str,
    pub stream: &'static str,
    pub encoder: &'static str,
    pub encoder_hint: &'static str,
    pub stream_key: &'static str,
    pub key_once: &'static str,
    pub key_hidden: &'static str,
    pub key_revoked: &'static str,
    pub copy: &'static str,
    pub rotate: &'static str,
    pub revoke: &'static str,
    pub log: &'static str,
    pub no_log: &'static str,
    pub time: &'static str,
    pub event: &'static str,
    pub cancel: &'static str,
}

/// What is measured of a stream.
pub struct Health {
    pub viewers: &'static str,
    pub peak: &'static str,
    pub bitrate: &'static str,
    pub frame_rate: &'static str,
    pub keyframes: &'static str,
    pub drift: &'static str,
    pub dropped: &'static str,
    pub picture: &'static str,
    pub codecs: &'static str,
    pub well: &'static str,
    pub none: &'static str,
}

/// What the script says by itself; handed to it as JSON. `{}` or `{name}` is where a value goes.
#[derive(Serialize)]
pub struct Script {
    pub states: Table,
    pub starts_in: &'static str,
    pub starts_soon: &'static str,
    pub live_for: &'static str,
    pub waits_until: &'static str,
    pub ended_at: &'static str,
    pub copied: &'static str,
    pub posters: Table,
    pub described: &'static str,
    pub units: Units,
    pub confirm: Confirm,
    pub errors: Errors,
    /// Empty where the API's own sentences are in this language.
    pub advice: Table,
    pub log: Table,
    pub refusals: Table,
}

/// Values with their units.
#[derive(Serialize)]
pub struct Units {
    pub megabits: &'static str,
    pub kilobits: &'static str,
    pub frames_a_second: &'static str,
    pub seconds: &'static str,
    pub behind: &'static str,
    pub ahead: &'static str,
    pub in_time: &'static str,
}

/// What is asked before something can't be taken back, and what the button says that does it.
#[derive(Serialize)]
pub struct Confirm {
    pub rotate: [&'static str; 2],
    pub revoke: [&'static str; 2],
    pub end: [&'static str; 2],
}

/// What went wrong, and what to do.
#[derive(Serialize)]
pub struct Errors {
    pub unreachable: &'static str,
    pub key: &'static str,
    pub role: &'static str,
    pub missing: &'static str,
    /// Somebody else was faster.
    pub changed: &'static str,
    pub account: &'static str,
    pub no_topics: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::broadcast::{AdviceCode, BroadcastState};
    use crate::domain::video::PosterState;

    #[test]
    fn every_piece_of_advice_is_told_in_chinese() {
        for code in AdviceCode::ALL {
            let told = CHINESE.script.advice.iter().find(|(known, _)| *known == code.as_str());
            assert!(told.is_some_and(|(_, text)| !text.is_ascii()), "{code}");
        }
    }

    #[test]
    fn every_state_has_its_words() {
        for script in [&ENGLISH.script, &CHINESE.script] {
            let known: Vec<&str> = script.states.iter().map(|(state, _)| *state).collect();
            assert_eq!(known, BroadcastState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>());
            let known: Vec<&str> = script.posters.iter().map(|(state, _)| *state).collect();
            assert_eq!(known, PosterState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>());
        }
    }
}
