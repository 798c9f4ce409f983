//! The pages in English.

use time::OffsetDateTime;

use super::{Broadcast, Levels, Phrases, Player, Sentence, Wrong, studio};
use crate::domain::{Refusal, Timestamp};

/// English.
pub const PHRASES: Phrases = Phrases {
    tag: "en",
    controls: "en",
    other_tag: "zh-Hans",
    other_name: "简体中文",
    tagline: "Public policy, explained on video",
    published: "Published",
    topic: "Topic",
    notices: "Notices",
    draft: "This is a draft. Only people with its link can see it.",
    withdrawn: "This video was withdrawn by its publisher.",
    waiting: "This video has not been uploaded yet. It will appear here as soon as it can be played.",
    processing: "This video is being processed. It will appear here as soon as it can be played.",
    progress: "Processing",
    degraded: "One of the qualities could not be made. The video plays in the others.",
    failed: "This video can’t be played.",
    more_coming: "Higher qualities are still being prepared.",
    quality: "Quality",
    speed: "Speed",
    settings: "Settings",
    captions: "Captions",
    no_script: "The player of this page needs JavaScript. Without it, browsers that play HLS by themselves, such as Safari, play the video here.",
    embed: "Embed this video",
    embed_code: "HTML for your page",
    home: "Home",
    search: "Search videos",
    search_go: "Search",
    latest: "Latest videos",
    results: "Results for",
    nothing: "No videos here yet.",
    nothing_yet: "Nothing among the newer videos yet. Look among the older ones.",
    nothing_found: "Nothing found for {}.",
    everywhere: "Search everywhere",
    topics: "Topics",
    subtopics: "Topics within it",
    agency: "Agency",
    agencies: "Agencies",
    agencies_below: "Agencies within it",
    no_agencies: "No agencies here yet.",
    part_of: "Part of",
    level_name: "Level of government",
    all_levels: "All levels",
    more: "More",
    ways: "All videos by",
    site: "About this site",
    starts: "Starts",
    begun_anew: "Without JavaScript this page doesn’t change by itself: load it again to see how it stands.",
    older: "Older videos",
    duration: "Length",
    player: Player {
        stopped: "Playback stopped. The connection may have been lost.",
        unsupported: "This browser can’t play the video.",
        again: "Try again",
        back: "back to the menu",
        broadcast: Broadcast {
            starts_in: "Starts in {}",
            announced: "The broadcast will begin here by itself.",
            waiting: "Waiting for the stream. It will begin here by itself.",
            upcoming: "Upcoming",
            live: "Live",
            go_live: "Go to live",
            interrupted: "The stream was interrupted. It will go on here by itself.",
            reconnecting: "The connection was lost. Trying again…",
            unmute: "Turn the sound on",
            over: "The broadcast is over.",
            replay: "Watch from the start",
            unrecorded: "This broadcast is over. There is no recording of it.",
        },
    },
    studio: studio::ENGLISH,
    wrong: Wrong {
        not_found: Sentence {
            title: "Not found",
            text: "There is nothing at this address. It may have been mistyped, or the video was removed.",
        },
        not_public: Sentence {
            title: "Not public",
            text: "This video isn’t public, or the link to it has expired. Ask its publisher for a new one.",
        },
        gone: Sentence { title: "Withdrawn", text: "This video was withdrawn by its publisher." },
        too_many: Sentence {
            title: "Too many requests",
            text: "Too many requests came from your address. Wait a minute and try again.",
        },
        bad_request: Sentence {
            title: "Bad request",
            text: "The server didn’t understand this address. Check it and try again.",
        },
        unavailable: Sentence {
            title: "Unavailable for a moment",
            text: "The service can’t be reached just now. Try again in a minute.",
        },
        broken: Sentence {
            title: "Something went wrong",
            text: "That is our fault, not yours. Try again in a minute.",
        },
    },
    levels: Levels {
        central: "Central",
        provincial: "Provincial",
        municipal: "Municipal",
        district: "District",
        community: "Community",
    },
    sectors: &[
        ("agriculture", "Agriculture"),
        ("city-management", "City management"),
        ("civil-affairs", "Civil affairs"),
        ("culture", "Culture"),
        ("education", "Education"),
        ("emergency", "Emergency management"),
        ("environment", "Environment"),
        ("finance", "Finance"),
        ("health", "Health"),
        ("housing", "Housing"),
        ("human-resources", "Human resources and social security"),
        ("justice", "Justice"),
        ("market-regulation", "Market regulation"),
        ("public-security", "Public security"),
        ("science", "Science and technology"),
        ("taxation", "Taxation"),
        ("tourism", "Tourism"),
        ("transport", "Transport"),
        ("water", "Water"),
    ],
    refusal: as_written,
    date,
    moment,
};

/// Refusals are written in English where they arise, with the values that matter.
fn as_written(refusal: &Refusal) -> &str {
    &refusal.message
}

fn date(time: Timestamp) -> String {
    match OffsetDateTime::from_unix_timestamp(time.0.div_euclid(1000)) {
        Ok(time) => format!("{} {} {}", time.day(), time.month(), time.year()),
        Err(_) => String::new(),
    }
}

fn moment(time: Timestamp) -> String {
    match OffsetDateTime::from_unix_timestamp(time.0.div_euclid(1000)) {
        Ok(at) => format!("{}, {:02}:{:02} UTC", date(time), at.hour(), at.minute()),
        Err(_) => String::new(),
    }
}
