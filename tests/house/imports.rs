//! Who may import whom.

use crate::source::{Source, is_word, words};

/// Who may import whom; a room may always import itself. An entry with `::` opens one module of a room only.
const IMPORTS: &[(&str, &[&str])] = &[
    // The caged children begin before anything else of ours is set up.
    ("main", &["cli", "live", "media"]),
    ("cli", ROOMS),
    ("config", &["domain", "net"]),
    ("observability", &["domain"]),
    ("web", &["http", "publishing", "catalogue", "domain"]),
    (
        "http",
        &[
            "publishing",
            "live",
            "catalogue",
            "storage",
            "net",
            "domain",
            "media::playlist",
            "media::storyboard",
        ],
    ),
    ("live", &["publishing", "media", "storage", "net", "domain"]),
    ("worker", &["publishing", "media", "storage", "catalogue", "domain"]),
    ("publishing", &["catalogue", "storage", "domain", "media::ladder", "media::timeline"]),
    ("catalogue", &["domain", "fault"]),
    ("storage", &["domain", "fault"]),
    ("media", &["domain"]),
    ("net", &["domain"]),
    ("domain", &[]),
    ("fault", &[]),
];

const ROOMS: &[&str] = &[
    "catalogue",
    "cli",
    "config",
    "domain",
    "fault",
    "http",
    "live",
    "media",
    "net",
    "observability",
    "publishing",
    "storage",
    "web",
    "worker",
];

/// Adds what the table does not allow.
pub fn check(source: &Source, out: &mut Vec<String>) {
    let Some(room) = source.room() else { return };
    let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == room) else { return };
    for (line, path) in imports(source) {
        let other = path.split("::").next().unwrap_or_default();
        if other != room && !allowed.contains(&other) && !allowed.contains(&path.as_str()) {
            out.push(source.at(line, format_args!("{room} may not import {path}")));
        }
    }
}

/// The paths this file takes from the crate, as (line, `room` or `room::module`).
fn imports(source: &Source) -> Vec<(usize, String)> {
    let depth = source.path.trim_end_matches("/mod.rs").matches('/').count();
    let climb = "super::".repeat(depth.max(1));
    let code: String =
        source.code.lines().take(source.product_lines()).flat_map(|line| [line, "\n"]).collect();
    let mut found = Vec::new();
    for root in ["crate::", "policast::", &climb] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_word(c) || c == ':' || c == '$') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let paths = heads(&code[at + root.len()..]);
            let known = |path: &String| ROOMS.contains(&path.split("::").next().unwrap_or_default());
            found.extend(paths.into_iter().filter(known).map(|path| (line, path)));
        }
    }
    found
}

/// `domain::media` of `domain::media::Rung`, or one head for each branch of `{domain::Clock, media}`.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        let mut parts = path.splitn(3, "::").map(|part| words(part).next().unwrap_or_default());
        let (room, module) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        return vec![if module.is_empty() { room.to_owned() } else { format!("{room}::{module}") }];
    };
    let (mut level, mut start, mut branches) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' | ',' if level == 0 => {
                branches.push(group[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => level -= 1,
            _ => {}
        }
    }
    branches.into_iter().filter(|branch| !branch.is_empty()).flat_map(heads).collect()
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
    fn siblings_never_meet() {
        let found = check_one("src/storage/key.rs", "//! x\nuse crate::catalogue::Db;\n");
        assert_eq!(found, ["src/storage/key.rs:2: storage may not import catalogue::Db"]);
        assert!(check_one("src/worker/probe.rs", "use crate::catalogue::Db;").is_empty());
    }

    #[test]
    fn a_group_a_path_in_passing_and_a_climb_are_imports_too() {
        let group = "use crate::{\n    domain::{Clock, media},\n    http,\n};\n";
        assert_eq!(check_one("src/media/mod.rs", group).len(), 1);
        assert_eq!(check_one("src/media/mod.rs", "fn f() -> crate::live::Window {}").len(), 1);
        assert_eq!(check_one("src/media/mod.rs", "use super::live;").len(), 1);
        assert_eq!(check_one("src/media/probe/mod.rs", "use super::super::live;").len(), 1);
        assert!(check_one("src/media/probe.rs", "use super::live;").is_empty());
    }

    #[test]
    fn one_module_of_a_room_can_be_opened() {
        assert!(check_one("src/http/play.rs", "use crate::media::playlist::render;").is_empty());
        assert!(check_one("src/http/play.rs", "use crate::media::playlist;").is_empty());
        assert_eq!(check_one("src/http/play.rs", "use crate::media::probe;").len(), 1);
    }

    #[test]
    fn tests_strings_and_comments_import_nothing() {
        let text = "// crate::live\nconst A: &str = \"crate::live\";\n#[cfg(test)]\nmod tests {\n use crate::live;\n}\n";
        assert!(check_one("src/domain/id.rs", text).is_empty());
    }
}
