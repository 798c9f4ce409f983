//! Sixty wrong requests, and what people who send them read. `cargo insta review` shows what changes.

use std::fmt::Write as _;

use serde_json::Value;

use crate::app::{App, request};

/// What a request is sent as.
#[derive(Clone, Copy)]
enum As {
    Nobody,
    Editor,
    Publisher,
    Operator,
}

use As::{Editor, Nobody, Operator, Publisher};

/// What is wrong with it, who sends it, what.
type Wrong<'a> = (&'a str, As, &'a str, &'a str);

/// Words of the machinery that no sentence for people has in it.
const MACHINERY: [&str; 14] = [
    "u8",
    "u32",
    "u64",
    "i64",
    "struct",
    "serde",
    "invalid type",
    "invalid value",
    "expected one of `",
    "variant",
    "deserialize",
    "sequence",
    "untagged",
    "parse",
];

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

async fn ask(app: &App, (_, who, line, body): Wrong<'_>, headers: &[(&str, &str)]) -> Value {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let key = match who {
        Nobody => None,
        Editor => Some(app.editor.as_str()),
        Publisher => Some(app.publisher.as_str()),
        Operator => Some(app.operator.as_str()),
    };
    let reply = app.ask(request(method, path, headers, body.to_owned()), key).await;
    assert!((400..500).contains(&reply.status), "{line} {body}: {reply:?}");
    reply.problem();
    reply.json()
}

/// The request and its problem, as a person reads them.
fn told((what, who, line, body): Wrong<'_>, problem: &Value) -> String {
    let who = match who {
        Nobody => "nobody",
        Editor => "an editor",
        Publisher => "a publisher",
        Operator => "an operator",
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told = format!("# {what}\n{line} by {who}\n");
    if !body.is_empty() {
        let body: String = body.chars().take(160).collect();
        writeln!(told, "  {}", body.escape_debug().to_string().replace("\\\"", "\"")).expect("a text");
    }
    let detail = text(&problem["detail"]);
    writeln!(told, "{} {}\n  {detail}", problem["status"], text(&problem["code"])).expect("a text");
    for fault in problem["errors"].as_array().into_iter().flatten() {
        let place = fault["pointer"].as_str().or(fault["parameter"].as_str()).unwrap_or_default();
        writeln!(told, "  - {place:?} {}: {}", text(&fault["code"]), text(&fault["detail"])).expect("a text");
    }
    let lower = told.to_lowercase();
    for word in MACHINERY {
        let said = lower.split(|c: char| !c.is_alphanumeric()).any(|step| step == word);
        let phrased = word.contains(' ') && lower.contains(word);
        assert!(!(said || phrased), "{word} in {told}");
    }
    told
}

/// All of them with the same headers, each with its problem.
async fn tell_all(app: &App, wrong: &[Wrong<'_>], headers: &[(&str, &str)], hide: &[(&str, &str)]) -> String {
    let mut all = Vec::new();
    for one in wrong {
        all.push(told(*one, &ask(app, *one, headers).await));
    }
    let all = all.join("\n");
    hide.iter().fold(all, |all, (id, name)| all.replace(id, name))
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_drafts_of_videos_are_told_in_words_for_editors() {
    let app = App::small().await;
    let long =
        format!(r#"{{"title": {{"en": "{}"}}, "topic": "health", "language": "en"}}"#, "x".repeat(201));
    let tags = (b'a'..=b'u').map(|c| format!(r#""x{}": "t""#, char::from(c))).collect::<Vec<_>>().join(", ");
    let many = format!(r#"{{"title": {{{tags}}}, "topic": "health", "language": "en"}}"#);
    let post = "POST /api/v1/videos";
    let wrong: &[Wrong] = &[
        ("no body", Editor, post, ""),
        ("no JSON", Editor, post, "{'title': 1}"),
        ("JSON that breaks off", Editor, post, r#"{"title": "A"#),
        ("a list", Editor, post, "[1, 2]"),
        ("a text", Editor, post, r#""A clip""#),
        ("nothing in it", Editor, post, "{}"),
        ("a number for a title", Editor, post, r#"{"title": 5, "topic": "health", "language": "en"}"#),
        ("null for a title", Editor, post, r#"{"title": null, "topic": "health", "language": "en"}"#),
        ("an empty title", Editor, post, r#"{"title": " ", "topic": "health", "language": "en"}"#),
        ("no title in any language", Editor, post, r#"{"title": {}, "topic": "health", "language": "en"}"#),
        ("a title too long", Editor, post, &long),
        ("a title in 21 languages", Editor, post, &many),
        (
            "a title in no language",
            Editor,
            post,
            r#"{"title": {"!": "A"}, "topic": "health", "language": "en"}"#,
        ),
        (
            "a number inside a title",
            Editor,
            post,
            r#"{"title": {"en": 7}, "topic": "health", "language": "en"}"#,
        ),
        ("a NUL", Editor, post, r#"{"title": "a\u0000b", "topic": "health", "language": "en"}"#),
        (
            "a turned text",
            Editor,
            post,
            "{\"title\": \"a\u{202e}b\", \"topic\": \"health\", \"language\": \"en\"}",
        ),
        ("no language", Editor, post, r#"{"title": "A", "topic": "health", "language": "English!"}"#),
        ("no topic", Editor, post, r#"{"title": "A", "topic": "Health Care", "language": "en"}"#),
        ("an unknown topic", Editor, post, r#"{"title": "A", "topic": "fishing", "language": "en"}"#),
        (
            "an unknown account",
            Operator,
            post,
            r#"{"account": "nobody", "title": "A", "topic": "health", "language": "en"}"#,
        ),
        ("no account", Operator, post, r#"{"title": "A", "topic": "health", "language": "en"}"#),
        ("a field nobody reads", Editor, post, r#"{"titel": "A", "topic": "health", "language": "en"}"#),
        (
            "a source by its address",
            Editor,
            post,
            r#"{"title": "A", "topic": "health", "language": "en", "source_url": "https://a.example/b.mp4"}"#,
        ),
        (
            "all at once",
            Editor,
            post,
            r#"{"account": "A!", "topic": 5, "title": {"en": 1, "??": "x"}, "state": "published", "description": []}"#,
        ),
        (
            "a field twice",
            Editor,
            post,
            r#"{"title": "A", "title": "B", "topic": "health", "language": "en"}"#,
        ),
        ("no key", Nobody, post, "{}"),
    ];
    insta::assert_snapshot!(tell_all(&app, wrong, JSON, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_are_told_in_words_for_people() {
    let app = App::small().await;
    let wrong: &[Wrong] = &[
        ("no such address", Nobody, "GET /api/v1/film", ""),
        ("no such method", Nobody, "PUT /api/v1/videos", ""),
        ("no id", Nobody, "GET /api/v1/videos/clip", ""),
        ("an id nobody has", Nobody, "GET /api/v1/videos/0197a0f0-0000-7000-8000-000000000001", ""),
        ("a limit that is a word", Nobody, "GET /api/v1/videos?limit=ten", ""),
        ("a limit below nothing", Nobody, "GET /api/v1/videos?limit=-1", ""),
        ("a limit too high", Nobody, "GET /api/v1/videos?limit=1000", ""),
        ("a limit twice", Nobody, "GET /api/v1/videos?limit=1&limit=2", ""),
        ("a state there is none", Nobody, "GET /api/v1/videos?state=done", ""),
        ("a cursor that is none", Nobody, "GET /api/v1/videos?cursor=next", ""),
        ("several at once", Nobody, "GET /api/v1/videos?page=2&limit=x&account=A&topic=%20", ""),
        ("a level there is none", Nobody, "GET /api/v1/accounts?level=galactic", ""),
        ("a handle that is none", Nobody, "GET /api/v1/accounts/A_B", ""),
        ("a topic that is none", Nobody, "GET /api/v1/topics/a//b", ""),
        (
            "a revision that is none",
            Nobody,
            "GET /play/0197a0f0-0000-7000-8000-000000000001/first/poster.jpg",
            "",
        ),
        (
            "a trim that is none",
            Nobody,
            "GET /play/0197a0f0-0000-7000-8000-000000000001/master.m3u8?trim=9-3",
            "",
        ),
        ("jobs of a kind there is none", Operator, "GET /api/v1/admin/jobs?kind=bake&state=done", ""),
        ("jobs for an editor", Editor, "GET /api/v1/admin/jobs", ""),
    ];
    insta::assert_snapshot!(tell_all(&app, wrong, &[], &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_changes_are_told_in_words_for_people() {
    let app = App::small().await;
    let id = app.draft().await;
    let video = format!("/api/v1/videos/{id}");
    let [patch, publish, withdraw] = ["PATCH", "POST", "POST"].map(|method| format!("{method} {video}"));
    let [publish, withdraw] = [publish + "/publish", withdraw + "/withdraw"];
    let back = format!("POST /api/v1/admin/videos/{id}/rollback");
    let wrong: &[Wrong] = &[
        ("a trim from behind", Editor, &patch, r#"{"trim": {"start_ms": 9000, "end_ms": 3000}}"#),
        ("a trim of words", Editor, &patch, r#"{"trim": {"start_ms": "early", "stop_ms": 3}}"#),
        ("a number out of all bounds", Editor, &patch, r#"{"trim": {"start_ms": 99999999999}}"#),
        ("an editor publishes", Editor, &publish, ""),
        ("a time to publish at", Publisher, &publish, r#"{"at": "2030-01-01"}"#),
        ("words where nothing is read", Publisher, &publish, "now"),
        ("no reason", Publisher, &withdraw, "{}"),
        ("a draft taken back", Publisher, &withdraw, r#"{"reason": "a mistake"}"#),
        ("a revision below one", Operator, &back, r#"{"revision": 0}"#),
        ("a revision there is none", Operator, &back, r#"{"revision": 9}"#),
        (
            "an account with everything wrong",
            Operator,
            "POST /api/v1/accounts",
            r#"{"handle": "-", "name": {}, "level": "galactic", "region": 1, "parent": "", "quota_bytes": -1}"#,
        ),
        (
            "a handle that is taken",
            Operator,
            "POST /api/v1/accounts",
            r#"{"handle": "agency", "name": "A", "sector": "", "level": "central", "region": ""}"#,
        ),
        ("a role there is none", Operator, "POST /api/v1/keys", r#"{"role": "king", "label": true}"#),
        (
            "a broadcast with everything wrong",
            Editor,
            "POST /api/v1/broadcasts",
            r#"{"topic": "health", "title": "", "language": "en", "starts_at": "tomorrow", "grace_seconds": 1801,
              "dvr_seconds": 1.5, "slate": "yes"}"#,
        ),
        ("nothing selected", Operator, "POST /api/v1/admin/reprocess", r#"{"dry_run": true}"#),
        ("a check too wide", Operator, "POST /api/v1/admin/fsck", r#"{"parallel": 99}"#),
    ];
    insta::assert_snapshot!(tell_all(&app, wrong, JSON, &[(&id, "{id}")]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_uploads_are_told_in_words_for_people() {
    let app = App::small().await;
    let tus = [("tus-resumable", "1.0.0"), ("upload-length", "4")];
    let post = "POST /api/v1/uploads";
    let mut told = Vec::new();
    let more: &[(&str, &[(&str, &str)])] = &[
        ("no version", &[("upload-length", "4")]),
        ("another version", &[("tus-resumable", "0.2.2")]),
        ("no metadata", &tus),
        ("metadata that is no base64", &[tus[0], tus[1], ("upload-metadata", "title ###")]),
        (
            "metadata of which three values are no text",
            &[tus[0], tus[1], ("upload-metadata", "title ###,topic aGVhbHRo,language /w==,account YQBi")],
        ),
        ("metadata with a title alone", &[tus[0], tus[1], ("upload-metadata", "title QQ==")]),
        (
            "metadata with everything wrong",
            // language "not a tag", topic "No Topic", account "-".
            &[tus[0], tus[1], ("upload-metadata", "language bm90IGEgdGFn,topic Tm8gVG9waWM=,account LQ==")],
        ),
        ("metadata of a video that is no id", &[tus[0], tus[1], ("upload-metadata", "video eA==")]),
        ("no length", &[tus[0]]),
        ("a length that is a word", &[tus[0], ("upload-length", "long")]),
        ("a checksum of a kind there is none", &[tus[0], tus[1], ("upload-checksum", "crc32 AAAA")]),
        ("parts of nothing", &[tus[0], ("upload-concat", "final;")]),
    ];
    for (what, headers) in more {
        let metadata = ("upload-metadata", "account YWdlbmN5,topic aGVhbHRo,title QQ==,language ZW4=");
        let bare = what.contains("metadata") || what.contains("version");
        let headers: Vec<_> = headers.iter().copied().chain((!bare).then_some(metadata)).collect();
        told.push(tell_all(&app, &[(what, Editor, post, "")], &headers, &[]).await);
    }
    let draft = app.draft().await;
    let source = format!("PUT /api/v1/videos/{draft}/poster");
    let wrong: Wrong = ("a poster that is a text", Editor, &source, "a poster");
    told.push(tell_all(&app, &[wrong], &[("content-type", "text/plain")], &[(&draft, "{id}")]).await);
    insta::assert_snapshot!(told.join("\n"));
}
