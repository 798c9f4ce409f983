//! Words of texts and of searches, made by one function of ours because neither engine splits Chinese into words: Latin
//! words without endings, and neighbours of a Chinese text in pairs.

use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word that count.
const MOST_CHARS: usize = 64;
/// Chinese characters that only join words.
const PARTICLES: [char; 3] = ['的', '吗', '呢'];
/// What is asked with, and says nothing of what is looked for.
const QUESTIONS: [&str; 9] = ["为什么", "怎么办", "怎么", "怎样", "如何", "什么", "哪里", "哪些", "多少"];
/// The same in English, and what only joins words.
const STOP_WORDS: &[&str] = &[
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "by", "can", "did", "do", "does", "for",
    "from", "get", "gets", "go", "goes", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its",
    "me", "my", "of", "on", "or", "our", "s", "should", "so", "that", "the", "their", "there", "these",
    "they", "this", "to", "was", "we", "were", "what", "when", "where", "which", "who", "why", "will",
    "with", "you", "your",
];

/// Forms that the stemmer takes for words of their own.
const IRREGULAR: &[(&str, &str)] = &[
    ("buses", "bus"),
    ("children", "child"),
    ("feet", "foot"),
    ("gases", "gas"),
    ("lives", "life"),
    ("men", "man"),
    ("mice", "mouse"),
    ("people", "person"),
    ("teeth", "tooth"),
    ("women", "woman"),
];

static ENGLISH: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));

/// A word as it is written, in lower case and without diacritics, or a run of a script that has no spaces.
enum Piece<'a> {
    Word(&'a str),
    Run(Vec<char>),
}

/// The words of a text, in order: each two neighbours of a run, or its only character.
pub fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let mut words = Vec::new();
    for piece in pieces(&folded) {
        match piece {
            Piece::Word(word) => words.push(stem(word)),
            Piece::Run(run) if run.len() == 1 => words.extend(run.iter().map(char::to_string)),
            Piece::Run(run) => words.extend(run.windows(2).map(String::from_iter)),
        }
    }
    words
}

/// Every single character of the runs: of a short text they are searched for too.
pub fn characters(text: &str) -> Vec<String> {
    let folded = fold(text);
    let runs = pieces(&folded).into_iter().filter_map(|piece| match piece {
        Piece::Run(run) => Some(run),
        Piece::Word(_) => None,
    });
    runs.flatten().map(String::from).collect()
}

/// The words that a video must have to be found, those that count most first. What says nothing of what is looked for is
/// left out where anything else is said; a run is covered by as few pairs as do, which take turns with the other words.
pub fn searched(query: &str) -> Vec<String> {
    let mut folded = fold(query);
    for question in QUESTIONS {
        folded = folded.replace(question, " ");
    }
    let (mut said, mut others) = (Vec::new(), Vec::new());
    for piece in pieces(&folded) {
        match piece {
            Piece::Word(word) if STOP_WORDS.contains(&word) => others.push(vec![stem(word)]),
            Piece::Word(word) => said.push(vec![stem(word)]),
            Piece::Run(run) if run.len() == 1 => others.push(run.iter().map(char::to_string).collect()),
            Piece::Run(run) => said.push(covered(&run)),
        }
    }
    distinct(in_turns(if said.is_empty() { &others } else { &said }))
}

/// A run of two or more in pairs, of which only the last may lap over the one before.
fn covered(run: &[char]) -> Vec<String> {
    let last = run.len() - 2;
    (0..run.len()).step_by(2).map(|at| String::from_iter(&run[at.min(last)..][..2])).collect()
}

fn in_turns(groups: &[Vec<String>]) -> Vec<String> {
    let most = groups.iter().map(Vec::len).max().unwrap_or(0);
    let turn = |at: usize| groups.iter().filter_map(move |group| group.get(at).cloned());
    (0..most).flat_map(turn).collect()
}

/// Each once, where it came first.
pub fn distinct(words: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    words.into_iter().filter(|word| seen.insert(word.clone())).collect()
}

fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

fn pieces(folded: &str) -> Vec<Piece<'_>> {
    let parts = folded.split(|c: char| !c.is_alphanumeric() || PARTICLES.contains(&c));
    let mut pieces = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let is_run = is_cjk(first);
            let end = rest.find(|c| is_cjk(c) != is_run).unwrap_or(rest.len());
            let (piece, behind) = rest.split_at(end);
            pieces.push(if is_run { Piece::Run(piece.chars().collect()) } else { Piece::Word(piece) });
            rest = behind;
        }
    }
    pieces
}

/// Without its ending: `policies` and `policy` are one word. Other scripts, and what has digits, stay as they are.
fn stem(word: &str) -> String {
    let word = word.char_indices().nth(MOST_CHARS).map_or(word, |(end, _)| &word[..end]);
    let regular = IRREGULAR.iter().find(|(form, _)| *form == word).map_or(word, |(_, word)| word);
    if regular.bytes().all(|byte| byte.is_ascii_lowercase()) {
        ENGLISH.stem(regular).into_owned()
    } else {
        word.to_owned()
    }
}

fn is_cjk(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0x20000..=0x2ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_is_found_by_any_two_neighbours() {
        assert_eq!(words("空气质量2026"), ["空气", "气质", "质量", "2026"]);
        assert_eq!(searched("空气质量报"), ["空气", "质量", "量报"]);
        assert_eq!(searched("空气的质量"), searched("空气 质量"));
        assert_eq!(searched("如何申请住房补贴？"), ["申请", "住房", "补贴"]);
        assert_eq!(searched("交通委员 停车 bus"), ["交通", "停车", "bus", "委员"], "each word counts first");
    }

    #[test]
    fn case_and_diacritics_make_no_difference() {
        assert_eq!(words("Qualité de l’AIR"), words("qualite DE l'air"));
        assert_eq!(words("ＡＩＲ"), ["air"]);
    }

    #[test]
    fn english_words_are_found_in_all_their_forms() {
        for (one, other) in [
            ("policies", "policy"),
            ("Applying", "applied"),
            ("bus", "buses"),
            ("child", "children"),
            ("children's", "children’s"),
        ] {
            assert_eq!(searched(one), searched(other), "{one} {other}");
        }
        assert_eq!(words("A4 permits"), ["a4", "permit"]);
    }

    #[test]
    fn what_only_asks_counts_where_nothing_else_is_said() {
        assert_eq!(searched("How do I apply for a permit?"), ["appli", "permit"]);
        assert_eq!(searched("to be or not"), ["not"]);
        assert_eq!(searched("who"), ["who"]);
        assert_eq!(searched("水"), ["水"]);
        assert_eq!(searched("2026年"), ["2026"]);
        assert_eq!(searched("% _ 🚀"), Vec::<String>::new());
    }
}
