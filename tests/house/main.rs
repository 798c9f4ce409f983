//! The rules of the house that a program can check: who imports whom, what each file looks like, what lies where.
//! Plain std over the text of the sources; every violation is listed at once as `file:line: what`.

mod imports;
mod rules;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, is_word};

const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".dockerignore",
    ".git",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "askama.toml",
    "benches",
    "build.rs",
    "clippy.toml",
    "deny.toml",
    "docs",
    "media-fixtures",
    "migrations",
    // Where proptest keeps what once failed.
    "proptest-regressions",
    "rustfmt.toml",
    "src",
    "tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Every file below, but for what tools put there.
fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir()
            && !["node_modules", ".venv", "__pycache__", "target", "dist"].contains(&name.as_str())
        {
            files(&path, out);
        } else if path.is_file() {
            out.push(path);
        }
    }
}

fn all_files() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for name in TOP_LEVEL.iter().filter(|name| **name != ".git") {
        let path = root().join(name);
        if path.is_dir() { files(&path, &mut found) } else { found.push(path) }
    }
    let relative = |path: &Path| path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned();
    found.into_iter().map(|path| (relative(&path), path)).collect()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn rust_files() -> Vec<(String, PathBuf)> {
    all_files().into_iter().filter(|(_, path)| has_extension(path, "rs")).collect()
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn every_source_keeps_the_rules() {
    let of_file = |(name, path): &(String, PathBuf)| {
        let source = Source::new(name, &fs::read_to_string(path).expect("a source"));
        let mut out = Vec::new();
        imports::check(&source, &mut out);
        rules::check(&source, &mut out);
        out
    };
    assert_none(&rust_files().iter().flat_map(of_file).collect::<Vec<_>>());
}

#[test]
fn no_file_lies_beside_a_folder_of_its_name() {
    let is_module = |folder: &Path| names(folder).iter().any(|name| has_extension(Path::new(name), "rs"));
    let doubled = rust_files().into_iter().filter(|(_, path)| is_module(&path.with_extension("")));
    assert_none(
        &doubled.map(|(name, _)| format!("{name}: belongs into the folder as mod.rs")).collect::<Vec<_>>(),
    );
}

#[test]
fn both_engines_have_the_same_migrations() {
    let folder = root().join("migrations");
    assert_eq!(names(&folder.join("sqlite")), names(&folder.join("postgres")));
}

#[test]
fn the_top_level_holds_only_what_is_expected() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let is_known = |name: &String| {
        TOP_LEVEL.contains(&name.as_str()) || ignored.lines().any(|line| line.trim_matches('/') == name)
    };
    assert_none(&names(root()).into_iter().filter(|name| !is_known(name)).collect::<Vec<_>>());
}

#[test]
fn the_readme_and_the_changelog_say_what_they_must() {
    let says =
        |file: &str, word: &str| fs::read_to_string(root().join(file)).is_ok_and(|text| text.contains(word));
    assert!(says("CHANGELOG.md", "## [Unreleased]"));
    if root().join("README.md").exists() {
        assert!(says("README.md", "make demo") && says("README.md", "make test"));
    }
}

#[test]
fn no_file_names_a_machine() {
    let places = ["work", "root", "home", "tmp/wt", "tmp/pt"].map(|place| format!("/{place}/"));
    let mut violations = Vec::new();
    for (name, path) in all_files().iter().filter(|(_, path)| !has_extension(path, "lock")) {
        let Ok(text) = fs::read_to_string(path) else { continue };
        for (index, line) in text.lines().enumerate() {
            violations.extend(
                places
                    .iter()
                    .filter(|place| is_path(line, place))
                    .map(|place| format!("{name}:{}: {place} is a place on somebody's machine", index + 1)),
            );
        }
    }
    assert_none(&violations);
}

/// Whether `place` stands in the line as the beginning of a path, not in its middle.
fn is_path(line: &str, place: &str) -> bool {
    line.match_indices(place)
        .any(|(at, _)| !line[..at].ends_with(|c: char| is_word(c) || "}.-/*".contains(c)))
}
