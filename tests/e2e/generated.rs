//! The document of the API as others read it: two linters find nothing, and clients generated from it work.

use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;

use crate::server::Server;
use crate::tool::{fixture, node, program, root, run, succeed, venv};

const CLIENTS: &str = "tests/e2e/clients";

fn document() -> std::path::PathBuf {
    root().join("docs/openapi.json")
}

/// A program of the tests' packages for Node.
fn npm(tool: &str) -> Command {
    let modules = root().join("tests/e2e/node_modules");
    let mut command = program("node");
    command.arg(modules.join(tool));
    command
}

/// Both speak in English and end with 0 where they find nothing worse than a warning: they have to be silent.
#[tokio::test]
async fn two_linters_find_nothing_in_the_document() {
    let mut spectral = npm("@stoplight/spectral-cli/dist/index.js");
    spectral.arg("lint").arg(document()).arg("--ruleset").arg(root().join(CLIENTS).join("spectral.yaml"));
    spectral.args(["--fail-severity", "hint", "--quiet"]);
    let output = run(spectral).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.trim().is_empty(), "{said}");

    let mut validator = venv("openapi-spec-validator");
    validator.args(["--subschema-errors", "all"]).arg(document());
    let said = succeed(validator).await;
    assert_eq!(said.trim(), format!("{}: OK", document().display()));
}

/// A folder for what is generated, with the packages of the tests.
fn workshop() -> TempDir {
    let folder = tempfile::Builder::new().prefix("policast-generated-").tempdir().expect("a folder");
    symlink(root().join("tests/e2e/node_modules"), folder.path().join("node_modules")).expect("a link");
    folder
}

async fn serve() -> Server {
    let server = Server::start().await;
    server.api.agency().await;
    server
}

fn asked(mut client: Command, server: &Server) -> Command {
    client.args([&server.api.base, &server.api.key]).arg(fixture("short.mp4"));
    client
}

#[tokio::test]
async fn a_client_generated_in_python_uploads_by_tus_and_publishes() {
    let (server, folder) = (serve().await, workshop());
    let package = folder.path().join("policast_client");
    let mut generator = venv("openapi-python-client");
    generator.args(["generate", "--meta", "none", "--fail-on-warning", "--path"]).arg(document());
    generator.arg("--output-path").arg(&package);
    generator.arg("--config").arg(root().join(CLIENTS).join("generated.yaml"));
    succeed(generator).await;

    let mut client = venv("python");
    client.arg(root().join(CLIENTS).join("generated.py")).env("PYTHONPATH", folder.path());
    succeed(asked(client, &server)).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_generated_in_typescript_uploads_in_parts_and_publishes() {
    let (server, folder) = (serve().await, workshop());
    let mut generator = npm("openapi-typescript/bin/cli.js");
    generator.arg(document()).arg("-o").arg(folder.path().join("document.d.ts"));
    succeed(generator).await;
    std::fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).expect("a package");
    for file in ["generated.ts", "tsconfig.json"] {
        std::fs::copy(root().join(CLIENTS).join(file), folder.path().join(file)).expect("a copy");
    }
    let mut compiler = npm("typescript/bin/tsc");
    compiler.arg("-p").arg(folder.path());
    succeed(compiler).await;

    let mut client = program("node");
    client.arg(Path::new("out/generated.js")).current_dir(folder.path());
    succeed(asked(client, &server)).await;
    server.stop().await;
}

#[tokio::test]
async fn chromium_reads_the_page_about_the_api_and_tries_it_without_a_script() {
    let server = serve().await;
    let mut docs = node("docs.mjs");
    docs.arg(format!("{}/api/docs", server.api.base));
    succeed(docs).await;
    server.stop().await;
}
