//! Every sentence of the pages, one table per language: a page can't be built with one missing.

mod chinese;
mod english;
pub mod studio;

use serde::Serialize;

use crate::domain::{Language, Refusal, Timestamp};

/// What the pages say in one language.
pub struct Phrases {
    /// This language's tag, and the name media-chrome knows it by.
    pub tag: &'static str,
    pub controls: &'static str,
    /// The other language: its tag, and its name in itself.
    pub other_tag: &'static str,
    pub other_name: &'static str,
    pub tagline: &'static str,
    pub published: &'static str,
    pub topic: &'static str,
    pub notices: &'static str,
    pub draft: &'static str,
    pub withdrawn: &'static str,
    pub waiting: &'static str,
    pub processing: &'static str,
    pub progress: &'static str,
    pub degraded: &'static str,
    pub failed: &'static str,
    pub more_coming: &'static str,
    pub quality: &'static str,
    pub speed: &'static str,
    pub settings: &'static str,
    pub captions: &'static str,
    pub no_script: &'static str,
    pub embed: &'static str,
    pub embed_code: &'static str,
    pub home: &'static str,
    pub search: &'static str,
    pub search_go: &'static str,
    pub latest: &'static str,
    pub results: &'static str,
    pub nothing: &'static str,
    /// Where a page of a search looked through as many videos as it may.
    pub nothing_yet: &'static str,
    /// With what was searched for in place of `{}`.
    pub nothing_found: &'static str,
    pub everywhere: &'static str,
    pub topics: &'static str,
    pub subtopics: &'static str,
    pub agency: &'static str,
    pub agencies: &'static str,
    pub agencies_below: &'static str,
    pub no_agencies: &'static str,
    pub part_of: &'static str,
    pub level_name: &'static str,
    pub all_levels: &'static str,
    pub more: &'static str,
    pub ways: &'static str,
    pub site: &'static str,
    pub starts: &'static str,
    pub begun_anew: &'static str,
    pub older: &'static str,
    pub duration: &'static str,
    pub player: Player,
    pub studio: studio::Studio,
    pub wrong: Wrong,
    pub levels: Levels,
    /// Words of sectors that have a name here; any other is shown as it is.
    pub sectors: &'static [(&'static str, &'static str)],
    /// The refusal in this language.
    pub refusal: fn(&Refusal) -> &str,
    pub date: fn(Timestamp) -> String,
    /// Day and time of day, in UTC and saying so.
    pub moment: fn(Timestamp) -> String,
}

/// What the player says by itself; handed to its script.
#[derive(Serialize)]
pub struct Player {
    pub stopped: &'static str,
    pub unsupported: &'static str,
    pub again: &'static str,
    pub back: &'static str,
    pub broadcast: Broadcast,
}

/// What is said around a broadcast, before, during and after it.
#[derive(Serialize)]
pub struct Broadcast {
    /// With the time left in place of `{}`, as the script counts it down.
    pub starts_in: &'static str,
    pub announced: &'static str,
    pub waiting: &'static str,
    pub upcoming: &'static str,
    pub live: &'static str,
    pub go_live: &'static str,
    pub interrupted: &'static str,
    pub reconnecting: &'static str,
    pub unmute: &'static str,
    pub over: &'static str,
    pub replay: &'static str,
    pub unrecorded: &'static str,
}

/// Titles and sentences of the error pages.
pub struct Wrong {
    pub not_found: Sentence,
    pub not_public: Sentence,
    pub gone: Sentence,
    pub too_many: Sentence,
    pub bad_request: Sentence,
    pub unavailable: Sentence,
    pub broken: Sentence,
}

/// A heading and what it means for the reader.
pub struct Sentence {
    pub title: &'static str,
    pub text: &'static str,
}

/// The five levels of government.
pub struct Levels {
    pub central: &'static str,
    pub provincial: &'static str,
    pub municipal: &'static str,
    pub district: &'static str,
    pub community: &'static str,
}

impl Phrases {
    /// The name of an account's level; the word itself where it is none.
    pub fn level<'a>(&self, word: &'a str) -> &'a str {
        match word {
            "central" => self.levels.central,
            "provincial" => self.levels.provincial,
            "municipal" => self.levels.municipal,
            "district" => self.levels.district,
            "community" => self.levels.community,
            other => other,
        }
    }

    /// The name of a sector; the word itself where it has none.
    pub fn sector<'a>(&self, word: &'a str) -> &'a str {
        self.sectors.iter().find(|(known, _)| *known == word).map_or(word, |(_, name)| name)
    }
}

/// The table for a reader's language; English for those of neither.
pub fn of(language: &Language) -> &'static Phrases {
    if language.primary() == "zh" { &chinese::PHRASES } else { &english::PHRASES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RefusalCode;

    #[test]
    fn every_refusal_is_told_in_chinese() {
        for &code in RefusalCode::ALL {
            let refusal = Refusal::new(code, "in English");
            let told = (chinese::PHRASES.refusal)(&refusal);
            assert!(!told.is_ascii(), "{code}: {told}");
            assert_eq!((english::PHRASES.refusal)(&refusal), "in English");
        }
    }

    #[test]
    fn a_date_is_written_as_the_language_writes_it() {
        let time = Timestamp(1_700_000_000_123);
        assert_eq!((english::PHRASES.date)(time), "14 November 2023");
        assert_eq!((chinese::PHRASES.date)(time), "2023年11月14日");
        assert_eq!((english::PHRASES.moment)(time), "14 November 2023, 22:13 UTC");
        assert_eq!((chinese::PHRASES.moment)(time), "2023年11月14日 22:13（协调世界时）");
    }

    #[test]
    fn both_languages_know_the_same_sectors_and_each_other() {
        let words = |table: &Phrases| table.sectors.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        assert_eq!(words(&english::PHRASES), words(&chinese::PHRASES));
        assert_eq!(english::PHRASES.other_tag, chinese::PHRASES.tag);
        assert_eq!(chinese::PHRASES.other_tag, english::PHRASES.tag);
    }

    #[test]
    fn an_unknown_sector_is_shown_as_it_is() {
        assert_eq!(of(&Language::english()).sector("fisheries"), "fisheries");
    }
}
