//! Which refusals an operation can give: each status with its codes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::words;

/// Status by code.
type Codes = BTreeMap<&'static str, BTreeSet<String>>;
type Known = &'static [(&'static str, &'static [&'static str])];

/// Uploads that take bytes.
const RECEIVING: Known = &[
    ("403", &["role_too_low"]),
    (
        "409",
        &["taken_over", "upload_finished", "wrong_door", "wrong_offset", "part_missing", "part_size_wrong"],
    ),
    ("410", &["upload_gone"]),
    ("413", &["past_length", "quota_exceeded", "too_large"]),
    ("503", &["too_many_uploads"]),
];
/// What a draft is made of has to be there.
const DRAFTING: Known =
    &[("403", &["role_too_low"]), ("422", &["account_missing", "unknown_account", "unknown_topic"])];
/// What a fault of the words in `Upload-Metadata` is called.
const METADATA: Known = &[(
    "422",
    &[
        "account_invalid",
        "account_missing",
        "description_invalid",
        "description_too_long",
        "language_invalid",
        "language_missing",
        "title_empty",
        "title_invalid",
        "title_missing",
        "title_too_long",
        "topic_invalid",
        "topic_missing",
        "video_invalid",
    ],
)];
const HEADERS_OF_TUS: Known =
    &[("400", &["upload_checksum_invalid", "upload_length_invalid", "content_length_invalid"])];
const OPERATORS: Known = &[("403", &["role_too_low"])];

/// What follows from nothing in the document itself; `*` stands for every operation.
const OWN: &[(&str, &[Known])] = &[
    (
        "*",
        &[&[
            ("400", &["parameter_unknown", "query_invalid"]),
            ("415", &["content_encoding_unsupported"]),
            ("429", &["too_many_requests", "too_many_wrong_keys"]),
            ("500", &["internal"]),
            ("503", &["database_unavailable", "starting", "stopping", "storage_unavailable", "too_slow"]),
        ]],
    ),
    ("create_account", &[OPERATORS, &[("409", &["handle_taken"]), ("422", &["unknown_account"])]]),
    ("update_account", &[OPERATORS, &[("404", &["account_not_found"]), ("422", &["unknown_account"])]]),
    ("get_account", &[&[("404", &["account_not_found"])]]),
    ("list_account_keys", &[OPERATORS, &[("404", &["account_not_found"])]]),
    ("create_account_key", &[OPERATORS, &[("404", &["account_not_found"])]]),
    ("list_keys", &[OPERATORS]),
    ("create_key", &[OPERATORS, &[("422", &["unknown_account"])]]),
    ("revoke_key", &[OPERATORS, &[("404", &["key_not_found"]), ("409", &["last_operator_key"])]]),
    ("create_topic", &[OPERATORS, &[("409", &["slug_taken"])]]),
    ("update_topic", &[OPERATORS, &[("404", &["topic_not_found"])]]),
    ("get_topic", &[&[("404", &["topic_not_found"])]]),
    ("create_video", &[DRAFTING]),
    ("get_video", &[&[("404", &["video_not_found"])]]),
    (
        "update_video",
        &[OPERATORS, &[("404", &["video_not_found"]), ("422", &["trim.end_ms_invalid", "unknown_topic"])]],
    ),
    ("delete_video", &[OPERATORS, &[("404", &["video_not_found"])]]),
    (
        "publish_video",
        &[OPERATORS, &[("404", &["video_not_found"]), ("409", &["media_missing", "wrong_state"])]],
    ),
    ("withdraw_video", &[OPERATORS, &[("404", &["video_not_found"]), ("409", &["wrong_state"])]]),
    ("stream_video_events", &[&[("404", &["video_not_found"])]]),
    ("revoke_preview_links", &[OPERATORS, &[("404", &["video_not_found"])]]),
    (
        "upload_source",
        &[
            RECEIVING,
            &[
                (
                    "400",
                    &[
                        "checksum_mismatch",
                        "content_length_invalid",
                        "content_md5_invalid",
                        "repr_digest_invalid",
                    ],
                ),
                ("404", &["upload_not_found", "video_not_found"]),
                ("409", &["length_known", "upload_unfinished"]),
                ("415", &["content_type_unsupported"]),
            ],
        ],
    ),
    (
        "upload_poster",
        &[&[
            ("400", &["content_length_invalid"]),
            ("403", &["role_too_low"]),
            ("404", &["video_not_found"]),
            ("413", &["too_large"]),
            ("415", &["content_type_unsupported"]),
        ]],
    ),
    ("delete_poster", &[OPERATORS, &[("404", &["video_not_found"])]]),
    ("get_upload_options", &[]),
    (
        "create_upload",
        &[
            RECEIVING,
            DRAFTING,
            METADATA,
            HEADERS_OF_TUS,
            &[
                ("400", &["upload_concat_invalid", "upload_defer_length_invalid", "upload_metadata_invalid"]),
                ("404", &["upload_not_found", "video_not_found"]),
                ("409", &["upload_unfinished"]),
                ("412", &["tus_version_unsupported"]),
                ("460", &["checksum_mismatch"]),
            ],
        ],
    ),
    ("get_upload", &[&[("404", &["upload_not_found"])]]),
    (
        "get_upload_offset",
        &[&[
            ("404", &["upload_not_found"]),
            ("410", &["upload_gone"]),
            ("412", &["tus_version_unsupported"]),
        ]],
    ),
    ("append_upload", &[RECEIVING, SENDING, HEADERS_OF_TUS]),
    (
        "delete_upload",
        &[&[
            ("404", &["upload_not_found"]),
            ("409", &["upload_finished"]),
            ("412", &["tus_version_unsupported"]),
        ]],
    ),
    (
        "override_upload_method",
        &[
            RECEIVING,
            SENDING,
            HEADERS_OF_TUS,
            &[("400", &["x_http_method_override_invalid"]), ("405", &["method_not_allowed"])],
        ],
    ),
    (
        "presign_parts",
        &[&[
            ("403", &["role_too_low"]),
            ("404", &["upload_not_found"]),
            ("409", &["length_known", "upload_finished", "wrong_door"]),
            ("410", &["upload_gone"]),
            ("413", &["past_length", "quota_exceeded", "too_large"]),
            ("422", &["part_number_invalid"]),
        ]],
    ),
    (
        "finish_upload",
        &[&[
            ("400", &["checksum_mismatch"]),
            ("403", &["role_too_low"]),
            ("404", &["upload_not_found", "video_not_found"]),
            (
                "409",
                &["part_missing", "part_size_wrong", "upload_finished", "upload_unfinished", "wrong_door"],
            ),
            ("410", &["upload_gone"]),
            ("413", &["quota_exceeded", "too_large"]),
            ("422", &["part_number_invalid"]),
        ]],
    ),
    ("create_broadcast", &[DRAFTING]),
    ("get_broadcast", &[&[("404", &["broadcast_not_found"])]]),
    ("update_broadcast", &[OPERATORS, &[("404", &["broadcast_not_found"]), ("409", &["broadcast_over"])]]),
    ("rotate_stream_key", &[OPERATORS, &[("404", &["broadcast_not_found"]), ("409", &["broadcast_over"])]]),
    ("revoke_stream_key", &[OPERATORS, &[("404", &["broadcast_not_found"]), ("409", &["broadcast_over"])]]),
    ("end_broadcast", &[OPERATORS, &[("404", &["broadcast_not_found"]), ("409", &["broadcast_over"])]]),
    ("list_targets", &[&[("404", &["broadcast_not_found"])]]),
    (
        "create_target",
        &[
            OPERATORS,
            &[
                ("404", &["broadcast_not_found"]),
                ("409", &["broadcast_over", "target_taken", "too_many_targets"]),
                ("422", &["target_private"]),
            ],
        ],
    ),
    ("delete_target", &[OPERATORS, &[("404", &["broadcast_not_found", "target_not_found"])]]),
    ("run_fsck", &[OPERATORS]),
    (
        "roll_back_video",
        &[OPERATORS, &[("404", &["video_not_found"]), ("409", &["revision_gone", "wrong_state"])]],
    ),
    ("list_jobs", &[OPERATORS]),
    ("retry_job", &[OPERATORS, &[("404", &["job_not_found"]), ("409", &["taken", "wrong_state"])]]),
    ("cancel_job", &[OPERATORS, &[("404", &["job_not_found"])]]),
    ("explain_video", &[OPERATORS, &[("404", &["video_not_found"])]]),
    ("reprocess_videos", &[OPERATORS, &[("422", &["selection_missing"])]]),
    ("get_master_playlist", &[PLAYING, &[("404", &["media_not_found"])]]),
    (
        "get_media_file",
        &[
            PLAYING,
            &[
                ("404", &["media_not_found", "revision_not_found", "rung_not_found", "segment_not_found"]),
                ("416", &["range_invalid"]),
                ("503", &["stalled"]),
            ],
        ],
    ),
    ("get_still", &[PLAYING, PICTURE]),
    ("get_poster", &[PLAYING, PICTURE]),
];

const SENDING: Known = &[
    ("400", &["upload_offset_invalid"]),
    ("404", &["upload_not_found"]),
    ("409", &["length_known"]),
    ("412", &["tus_version_unsupported"]),
    ("415", &["content_type_unsupported"]),
    ("460", &["checksum_mismatch"]),
];
const PLAYING: Known = &[("403", &["token_expired", "token_invalid"]), ("404", &["video_not_found"])];
const PICTURE: Known = &[("404", &["media_not_found", "still_not_found"]), ("416", &["range_invalid"])];

/// Adds to an operation what it can refuse, and to every refusal its codes.
pub fn add(operation: &mut Value, method: &str, path: &str, schemas: &Value) {
    let mut codes = Codes::new();
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    for (_, groups) in OWN.iter().filter(|(known, _)| *known == "*" || *known == id) {
        for (status, known) in groups.iter().copied().flatten() {
            add_all(&mut codes, status, known);
        }
    }
    of_address(&mut codes, operation, path);
    of_key(&mut codes, operation);
    if !["get", "head", "options"].contains(&method) {
        of_change(&mut codes, operation, schemas);
    }
    for (status, codes) in codes {
        operation["responses"][status] = refusal(&operation["responses"][status], status, &codes);
    }
}

fn add_all(codes: &mut Codes, status: &'static str, known: &[&str]) {
    codes.entry(status).or_default().extend(known.iter().map(|code| (*code).to_owned()));
}

fn parameters<'a>(operation: &'a Value, place: &'a str) -> impl Iterator<Item = &'a str> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.filter(move |it| it["in"] == place).filter_map(|it| it["name"].as_str())
}

fn of_address(codes: &mut Codes, operation: &Value, path: &str) {
    if path.contains('{') {
        add_all(codes, "400", &["path_invalid"]);
    }
    if parameters(operation, "query").any(|name| name == "limit") {
        add_all(codes, "422", &["limit_invalid"]);
    }
    if parameters(operation, "query").any(|name| name == "token") {
        add_all(codes, "403", &["token_expired", "token_invalid"]);
    }
    if parameters(operation, "header").any(|name| name == "If-Match") {
        add_all(codes, "400", &["if_match_invalid"]);
        add_all(codes, "412", &["version_changed"]);
    }
    if parameters(operation, "header").any(|name| name == "Idempotency-Key") {
        add_all(codes, "400", &["idempotency_key_invalid"]);
        add_all(codes, "409", &["request_running"]);
        add_all(codes, "422", &["idempotency_key_reused"]);
    }
}

fn of_key(codes: &mut Codes, operation: &Value) {
    let Some(ways) = operation["security"].as_array() else { return };
    add_all(codes, "401", &["key_invalid"]);
    if ways.iter().all(|way| way.as_object().is_some_and(|way| !way.is_empty())) {
        add_all(codes, "401", &["key_missing"]);
    }
}

fn of_change(codes: &mut Codes, operation: &Value, schemas: &Value) {
    add_all(codes, "400", &["body_broken"]);
    add_all(codes, "408", &["body_idle"]);
    add_all(codes, "413", &["body_too_large"]);
    add_all(codes, "507", &["disk_full"]);
    let content = &operation["requestBody"]["content"];
    let json = &content["application/json"]["schema"];
    if content.is_null() {
        add_all(codes, "400", &["body_unexpected"]);
        add_all(codes, "422", &["field_unknown"]);
    } else if !json.is_null() {
        add_all(codes, "400", &["json_invalid"]);
        if operation["requestBody"]["required"] == true {
            add_all(codes, "415", &["content_type_unsupported"]);
        }
        add_all(codes, "422", &["body_invalid", "field_unknown"]);
        let found = of_fields(resolved(json, schemas), schemas);
        codes.entry("422").or_default().extend(found);
    }
}

fn resolved<'a>(schema: &'a Value, schemas: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|at| at.rsplit('/').next()) {
        Some(name) => &schemas[name],
        None => schema,
    }
}

/// `title_missing`, `title_invalid` and so on, by what the schema says of each field.
fn of_fields(schema: &Value, schemas: &Value) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let empty = Map::new();
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    codes.extend(required.map(|name| format!("{name}_missing")));
    for (name, field) in schema["properties"].as_object().unwrap_or(&empty) {
        codes.insert(format!("{name}_invalid"));
        for (keyword, fault) in
            [("minLength", "empty"), ("maxLength", "too_long"), ("maxProperties", "too_many_languages")]
        {
            if field.get(keyword).is_some() {
                codes.insert(format!("{name}_{fault}"));
            }
        }
        let inner =
            [field, &field["items"]].into_iter().chain(field["oneOf"].as_array().into_iter().flatten());
        for inner in inner.map(|schema| resolved(schema, schemas)) {
            let required = inner["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            codes.extend(required.map(|name| format!("{name}_missing")));
        }
    }
    codes
}

fn refusal(before: &Value, status: &str, codes: &BTreeSet<String>) -> Value {
    let said =
        before["description"].as_str().or_else(|| words::of(words::STATUSES, status)).unwrap_or_default();
    let list: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    json!({
        "description": format!("{said}: {}", list.join(", ")),
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "x-codes": codes,
    })
}
