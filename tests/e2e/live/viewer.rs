//! Somebody who watches in Chromium and touches nothing, whatever becomes of the encoder.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::{Broadcast, STUCK};
use crate::tool::node;

/// A browser on the page of a broadcast; closed when dropped.
pub(super) struct Viewer {
    browser: Child,
    ask: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Viewer {
    /// Opens the page, and waits until it plays.
    pub async fn sit(broadcast: &Broadcast<'_>) -> Self {
        let mut script = node("viewer.mjs");
        script.arg(format!("{}/watch/{}", broadcast.server.api.base, broadcast.video));
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut browser = script.spawn().expect("node starts");
        let ask = browser.stdin.take().expect("a pipe");
        let said = BufReader::new(browser.stdout.take().expect("a pipe")).lines();
        let mut viewer = Self { browser, ask, said };
        viewer.hear("plays").await;
        viewer
    }

    /// Waits until the page has played on by itself, beyond all it has now.
    pub async fn goes_on(&mut self) {
        self.ask.write_all(b"\n").await.expect("a viewer");
        self.hear("goes on").await;
    }

    /// Closes the page; it has nothing to complain of.
    pub async fn leave(mut self) {
        drop(self.ask);
        let ended = timeout(STUCK, self.browser.wait()).await.expect("the browser hangs").expect("a child");
        assert!(ended.success(), "viewer.mjs ended with {ended}");
    }

    async fn hear(&mut self, word: &str) {
        let line = timeout(STUCK, self.said.next_line()).await.expect("the viewer hangs").expect("a pipe");
        assert_eq!(line.as_deref(), Some(word), "what the viewer says is above");
    }
}
