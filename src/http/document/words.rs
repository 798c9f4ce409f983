//! What the document says of things that many operations share.

/// The document's own description, in Markdown.
pub const ABOUT: &str = "\
Video publishing for government agencies' policy explainers: draft a video, upload its bytes, publish it, play it.

Times are RFC 3339 in UTC. A list comes a page at a time: `{\"items\": [...], \"next\": \"cursor\" or null}`. Texts are \
given by language, `{\"en\": \"...\", \"zh-Hans\": \"...\"}`, or as one plain text in the video's own language. A field or \
query parameter that is not in this document is refused.

A refusal is `application/problem+json` (RFC 9457). Its `code` is stable and is what programs look at; `errors` lists \
everything that is wrong with a body by JSON pointer, or with the query by parameter. Each response below says in \
`x-codes` which codes it may have.";

/// The groups of operations, in alphabetical order.
pub const TAGS: &[(&str, &str)] = &[
    ("accounts", "Verified accounts: who speaks."),
    ("admin", "What operators do to the whole instance."),
    ("broadcasts", "Live events: announced, watched over, pushed on, ended."),
    ("health", "For whoever watches the server."),
    ("keys", "API keys: issued with their secret once, revoked at once."),
    ("playback", "HLS playlists, media and pictures, for players."),
    ("topics", "Policy topics, a tree of slugs: what a video explains."),
    ("uploads", "Resumable uploads: tus 1.0, and parts straight to the object store."),
    ("videos", "Videos: drafted, changed, published, withdrawn, deleted."),
];

/// What each parameter says that has no description of its own.
pub const PARAMETERS: &[(&str, &str)] = &[
    (
        "Idempotency-Key",
        "A request sent again under the same key gets the first one's answer, and nothing happens twice",
    ),
    ("Tus-Resumable", "The version of tus: `1.0.0`"),
    (
        "Upload-Checksum",
        "`md5`, `sha1` or `sha256`, a space, and the digest of this body in base64 (tus 1.0, checksum)",
    ),
    (
        "Upload-Concat",
        "`partial`, or `final;` and the addresses of the partial uploads (tus 1.0, concatenation)",
    ),
    ("Upload-Defer-Length", "`1` where the length is not known yet"),
    ("Upload-Length", "Bytes of the whole file"),
    ("Upload-Metadata", "Pairs of a name and a value in base64, with commas between"),
    ("Upload-Offset", "Bytes the server has already"),
    ("X-HTTP-Method-Override", "The method that is meant"),
    ("account", "The account's handle"),
    ("file", "The file's name, as a playlist or the video says it"),
    ("handle", "The account's handle"),
    ("kind", "Jobs of this kind"),
    ("level", "Accounts of this level"),
    ("limit", "Items of a page; 20 where it is left out"),
    ("revision", "The revision's number"),
    ("rung", "The rendition's name"),
    ("sector", "Accounts of this sector"),
    ("slug", "The topic's slug, with its slashes as they are"),
    ("state", "Those in this state"),
    ("target", "The target's id"),
    ("video", "The video's id"),
];

/// What `{id}` stands for, by the step before it.
pub const IDS: &[(&str, &str)] = &[
    ("/broadcasts/{id}", "The broadcast's id"),
    ("/jobs/{id}", "The job's id"),
    ("/keys/{id}", "The key's id"),
    ("/uploads/{id}", "The upload's id"),
    ("/videos/{id}", "The video's id"),
];

/// What each header of an answer says.
pub const HEADERS: &[(&str, &str)] = &[
    ("ETag", "The version of what is shown, for `If-Match`"),
    ("Location", "The address of what is new"),
    ("Policast-Video", "The id of the video the upload is for"),
    ("Upload-Expires", "When an unfinished upload is given up"),
    ("Upload-Length", "Bytes of the whole file, where it is known"),
    ("Upload-Offset", "Bytes that are durable"),
];

/// What a status says where an operation has no words of its own for it.
pub const STATUSES: &[(&str, &str)] = &[
    ("400", "The request is malformed"),
    ("401", "The key is missing, wrong or revoked"),
    ("403", "The key or token may not do this"),
    ("404", "It isn't there, or not for this caller"),
    ("405", "The method that is meant is none of those"),
    ("408", "The client sent nothing for too long"),
    ("409", "It can't be done in the present state"),
    ("410", "The upload was given up or has expired"),
    ("412", "It was changed since, or the version of the protocol is another"),
    ("413", "The body is too large, or the quota is exceeded"),
    ("415", "The body is of another type than expected"),
    ("416", "The range lies outside"),
    ("422", "What is said can't be taken"),
    ("429", "Too much was asked, or too many wrong keys were shown; Retry-After says when to come back"),
    ("460", "The checksum does not match (tus 1.0)"),
    ("500", "A fault of ours; the request id finds it in the log"),
    ("503", "The server can't answer now; Retry-After says when to come back"),
    ("507", "No space is left to store it"),
];

/// The words for a name.
pub fn of(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, words)| *words)
}
