//! What each file may say and how it is shaped.

use crate::source::{Source, is_word, words};

/// Words that only some places may say.
const SAID_ONLY_IN: &[(&str, &[&str])] = &[
    ("aws_sdk_s3", &["src/storage/"]),
    ("s3s", &["src/storage/"]),
    ("ffmpeg_next", &["src/media/"]),
    ("unsafe", &["src/media/", "src/live/srt/libsrt/"]),
    // Those who answer by HTTP in one table, and those who are clients of somebody else's.
    ("StatusCode", &["src/http/error.rs", "src/web/", "src/storage/embedded/", "src/cli/"]),
    ("anyhow", &["src/cli/", "src/main.rs"]),
];

/// The embedded S3 server keeps its own little database.
const SQL_IN: &[&str] = &["src/catalogue/", "src/storage/embedded/"];

const BANNED_NAMES: &[&str] =
    &["common", "helper", "helpers", "manager", "managers", "service", "services", "types", "util", "utils"];

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 80;

/// Adds every rule a file breaks by itself.
pub fn check(source: &Source, out: &mut Vec<String>) {
    for rule in [check_words, check_sql, check_shape, check_names, check_attributes] {
        rule(source, out);
    }
}

fn check_words(source: &Source, out: &mut Vec<String>) {
    for (line, code) in source.product_code() {
        for (word, places) in SAID_ONLY_IN {
            if !source.is_in(places) && words(code).any(|said| said == *word) {
                out.push(source.at(line, format_args!("only {} may say {word}", places.join(", "))));
            }
        }
    }
}

fn check_sql(source: &Source, out: &mut Vec<String>) {
    for (line, text) in &source.strings {
        if *line > source.product_lines() || !is_sql(&text.to_lowercase()) {
            continue;
        }
        if !source.is_in(SQL_IN) {
            out.push(source.at(*line, "only the catalogue contains SQL"));
        } else if !is_sql(text) {
            out.push(source.at(*line, "SQL is written in lower case"));
        }
    }
}

fn is_sql(text: &str) -> bool {
    let has = |first: &str, then: &str| text.trim_start().starts_with(first) && text.contains(then);
    has("select ", " from ")
        || has("insert into ", "")
        || has("update ", " set ")
        || has("delete from ", "")
        || has("create table ", "(")
}

fn check_shape(source: &Source, out: &mut Vec<String>) {
    let lines = source.text.lines().count();
    if !source.text.starts_with("//!") {
        out.push(source.at(1, "a file begins with `//!` and what it is for"));
    }
    if lines > MAX_FILE_LINES {
        out.push(source.at(lines, format_args!("{lines} lines, at most {MAX_FILE_LINES}")));
    }
    for (line, name, length) in functions(source) {
        if length > MAX_FUNCTION_LINES {
            out.push(
                source.at(line, format_args!("{name} has {length} lines, at most {MAX_FUNCTION_LINES}")),
            );
        }
    }
}

/// Every function as (line, name, lines of code between its braces).
fn functions(source: &Source) -> Vec<(usize, String, usize)> {
    let code = &source.code;
    let starts = code.match_indices("fn ").filter(|(at, _)| !code[..*at].ends_with(is_word));
    let measure = |(at, _): (usize, &str)| {
        let name = words(&code[at + 3..]).next()?.to_owned();
        let open = at + code[at..].find(['{', ';']).filter(|found| code[at + found..].starts_with('{'))?;
        let mut level = 0_i32;
        let close = code[open..].char_indices().find(|(_, c)| {
            level += i32::from(*c == '{') - i32::from(*c == '}');
            level == 0
        })?;
        let body = code[open..open + close.0].lines().skip(1);
        let line = code[..at].matches('\n').count() + 1;
        Some((line, name, body.filter(|line| !line.trim().is_empty()).count()))
    };
    starts.filter_map(measure).collect()
}

fn check_names(source: &Source, out: &mut Vec<String>) {
    let parts = source.path.trim_end_matches(".rs").split('/');
    for name in parts.filter(|part| BANNED_NAMES.contains(part)) {
        out.push(source.at(1, format_args!("nothing is called {name}")));
    }
    for (line, code) in source.product_code() {
        let said: Vec<&str> = words(code).collect();
        for pair in said.windows(2) {
            check_name(source, line, (pair[0], pair[1]), out);
        }
    }
}

fn check_name(source: &Source, line: usize, (keyword, name): (&str, &str), out: &mut Vec<String>) {
    let wrong = match keyword {
        "mod" => BANNED_NAMES.contains(&name),
        // The S3 protocol's own trait has such names.
        "fn" => name.starts_with("get_") && !source.path.starts_with("src/storage/embedded/"),
        "struct" | "enum" | "trait" => {
            ["Service", "Manager", "Impl", "Dto", "Helper"].iter().any(|tail| name.ends_with(tail))
        }
        _ => false,
    };
    if wrong {
        out.push(source.at(line, format_args!("nothing is called {name}")));
    }
}

fn check_attributes(source: &Source, out: &mut Vec<String>) {
    for (index, code) in source.code.lines().enumerate() {
        if code.contains("#[allow(") || code.contains("#![allow(") {
            out.push(source.at(index + 1, "say #[expect(…, reason = \"…\")] instead of #[allow]"));
        }
        if code.contains("#[ignore") {
            out.push(source.at(index + 1, "a test that is ignored tests nothing"));
        }
        let said = source.strings.iter().filter(|(line, _)| *line == index + 1);
        for (_, text) in said.filter(|_| code.trim_start().starts_with("#[error(")) {
            check_error_text(source, (index + 1, text), out);
        }
    }
}

fn check_error_text(source: &Source, (line, text): (usize, &str), out: &mut Vec<String>) {
    let mut letters = text.chars();
    let capital =
        letters.next().is_some_and(char::is_uppercase) && letters.next().is_some_and(char::is_lowercase);
    if capital || text.ends_with('.') || text.contains("failed to") {
        out.push(
            source.at(
                line,
                format_args!("an error is lower case, without a full stop or \"failed to\": {text}"),
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(path: &str, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        check(&Source::new(path, text), &mut out);
        out
    }

    #[test]
    fn a_clean_file_breaks_no_rule() {
        let text = "//! What it is for.\n\npub struct Key;\n\nfn find(a: &str) -> u8 {\n    0\n}\n";
        assert_eq!(check_one("src/storage/key.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_word_of_another_room_is_found() {
        assert_eq!(
            check_one("src/http/tus.rs", "//! x\nuse aws_sdk_s3::Client;\n"),
            ["src/http/tus.rs:2: only src/storage/ may say aws_sdk_s3"]
        );
        assert_eq!(check_one("src/live/push.rs", "//! x\nfn f() { unsafe { } }\n").len(), 1);
        assert!(check_one("src/storage/mod.rs", "//! x\nuse aws_sdk_s3::Client;\n").is_empty());
    }

    #[test]
    fn sql_lives_in_the_catalogue_in_lower_case() {
        let lower = "//! x\nconst FIND: &str = \"\n select id from video\";\n";
        assert_eq!(check_one("src/worker/probe.rs", lower).len(), 1);
        assert!(check_one("src/catalogue/video.rs", lower).is_empty());
        let upper = "//! x\nconst FIND: &str = \"SELECT id FROM video\";\n";
        assert_eq!(check_one("src/catalogue/video.rs", upper).len(), 1);
        let prose = "//! x\nconst ASK: &str = \"select a topic\";\n";
        assert!(check_one("src/cli/demo.rs", prose).is_empty());
    }

    #[test]
    fn long_files_and_long_functions_are_found() {
        let long = format!("//! x\nfn f() {{\n{}}}\n", "    g();\n".repeat(81));
        let found = check_one("src/a.rs", &long);
        assert_eq!(found, ["src/a.rs:2: f has 81 lines, at most 80"]);
        let file = format!("//! x\n{}", "\n".repeat(500));
        assert_eq!(check_one("src/a.rs", &file), ["src/a.rs:501: 501 lines, at most 500"]);
        assert_eq!(check_one("src/a.rs", "mod b;\n").len(), 1);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        for (path, code) in [
            ("src/http/util.rs", ""),
            ("tests/it/common/mod.rs", ""),
            ("src/http/mod.rs", "mod helpers;"),
            ("src/http/mod.rs", "struct VideoService;"),
            ("src/http/mod.rs", "fn get_video() {}"),
        ] {
            assert_eq!(check_one(path, &format!("//! x\n{code}\n")).len(), 1, "{path} {code}");
        }
    }

    #[test]
    fn attributes_that_silence_and_errors_that_shout_are_found() {
        for code in [
            "#[allow(dead_code)]",
            "#[ignore]",
            "#[error(\"Offset is wrong\")]",
            "#[error(\"offset is wrong.\")]",
            "#[error(\"failed to read the offset\")]",
        ] {
            assert_eq!(check_one("src/a.rs", &format!("//! x\n{code}\nfn f() {{}}\n")).len(), 1, "{code}");
        }
        assert!(check_one("src/a.rs", "//! x\n#[error(\"offset is {0}\")]\nstruct A;\n").is_empty());
    }
}
