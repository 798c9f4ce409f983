//! The API against its own description: no 5xx, and no answer outside its schema.

use crate::server::Server;
use crate::tool::{root, succeed, venv};

#[tokio::test]
async fn every_answer_is_as_the_openapi_document_says() {
    let server = Server::start().await;
    server.api.agency().await;
    server.api.video("Something to find").await;
    let mut schemathesis = venv("schemathesis");
    schemathesis.args(["run", &format!("{}/api/openapi.json", server.api.base)]);
    schemathesis.args(["--header", &format!("Authorization: Bearer {}", server.api.key)]);
    schemathesis.args(["--checks", "not_a_server_error,response_schema_conformance"]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "20301"]);
    // It never ends by itself: a stream of events.
    // And revoking its own key would end its work.
    schemathesis.args([
        "--exclude-path-regex",
        r"(/events|/keys/\{id\})$",
        "--request-timeout",
        "30",
        "--no-color",
    ]);
    schemathesis.env("SCHEMATHESIS_HOOKS", root().join("tests/e2e/clients/schema_hooks.py"));
    schemathesis.current_dir(server.home());
    succeed(schemathesis).await;
    server.stop().await;
}
