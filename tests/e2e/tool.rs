//! Programs the tests run: found in the virtual environment, beside this file or in the PATH, never left behind.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;

/// Nothing a test runs takes this long; a hang is told instead of waited for.
const HANG: Duration = Duration::from_mins(10);

/// Where the repository is.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A clip of `media-fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    root().join("media-fixtures").join(name)
}

/// A program from the PATH.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.kill_on_drop(true);
    command
}

/// A script of `tests/e2e`, in Node.
pub fn node(script: &str) -> Command {
    let mut command = program("node");
    command.arg(root().join("tests/e2e").join(script));
    command
}

/// A tool out of the tests' virtual environment.
pub fn venv(tool: &str) -> Command {
    let path = root().join("tests/.venv/bin").join(tool);
    assert!(path.exists(), "there is no {}: `make test` sets it up", path.display());
    let mut command = Command::new(path);
    command.kill_on_drop(true);
    command
}

/// Runs to the end, whatever the outcome.
pub async fn run(mut command: Command) -> Output {
    let what = format!("{:?}", command.as_std());
    let running = command.stdin(std::process::Stdio::null()).output();
    let ended = tokio::time::timeout(HANG, running).await.unwrap_or_else(|_| panic!("{what} hangs"));
    ended.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Runs to a good end; what it printed.
pub async fn succeed(command: Command) -> String {
    let what = format!("{:?}", command.as_std());
    let output = run(command).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}
