//! `policast demo`: a server, a sample agency and a real clip that goes through the public API.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::api::Api;
use super::output;
use super::serve::{self, FirstKey, Server, Shutdown};
use super::upload::{self, Upload, Wait};
use crate::catalogue::one_connection;
use crate::config::Config;
use crate::domain::key::Role;
use crate::publishing::KeyDraft;

/// Half a minute of slides and speech, made by media-fixtures' own script.
const CLIP: &[u8] = include_bytes!("../../media-fixtures/explainer.mp4");
const ACCOUNT: &str = "riverside-environment";
const TITLE: &str = "The clean air plan in half a minute";
const TOPIC: &str = "environment/air";

/// A server's settings.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stop once the clip plays, instead of serving on
    #[arg(long)]
    exit: bool,
    #[command(flatten)]
    config: Config,
}

/// Serves until a signal.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut server = Server::bind(&args.config, FirstKey::Left).await?;
    let (ready, url, shutdown) = (server.ready(), server.public_url(), Shutdown::default());
    let showing = async {
        let plays = async {
            let draft = KeyDraft { account: None, role: Role::Admin, label: "demo".to_owned() };
            let (_, secret) = ready.await.context("the server ended")?.issue_key(draft).await?;
            show(&Api::new(&url, secret.reveal())?).await
        };
        let plays = plays.await;
        if !args.exit && plays.is_ok() {
            serve::asked_to_stop().await?;
        }
        shutdown.drain();
        plays
    };
    let (ended, plays) = tokio::join!(server.serve(shutdown.clone()), one_connection(showing));
    ended?;
    Ok(if plays? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn show(api: &Api) -> anyhow::Result<bool> {
    prepare(api).await?;
    let mut clip = tempfile::Builder::new().prefix("explainer-").suffix(".mp4").tempfile()?;
    clip.write_all(CLIP)?;
    output::line("Uploading half a minute of 1080p through the public API (tus):");
    let upload = Upload {
        file: clip.path(),
        account: ACCOUNT,
        topic: TOPIC,
        title: TITLE.to_owned(),
        language: "en",
        parallel: 1,
    };
    let video = upload::send(api, &upload).await?;
    let title = json!({"en": TITLE, "zh-Hans": "半分钟了解清洁空气计划"});
    let description = json!({"en": "Electric buses, clean heating and dust kept on site: what changes, when, and how to have your say.",
        "zh-Hans": "电动公交、清洁取暖、工地抑尘：有哪些变化、何时实施、如何提出意见。"});
    let change = json!({"title": title, "description": description});
    api.ask(reqwest::Method::PATCH, &format!("/api/v1/videos/{video}"), Some(change)).await?;
    api.ask(reqwest::Method::POST, &format!("/api/v1/videos/{video}/publish"), None).await?;
    let plays = upload::watch(api, (&video, "explainer.mp4"), Wait::Ready).await?;
    output::line("");
    output::line(&format!("  Watch it:       {}/watch/{video}", api.server));
    output::line(&format!("  Play it (HLS):  {}/play/{video}/master.m3u8", api.server));
    output::line(&format!("  Try the API:    {}/api/docs   with the key {}", api.server, api.key));
    output::line("");
    output::line("Ctrl-C stops the server.");
    Ok(plays)
}

async fn prepare(api: &Api) -> anyhow::Result<()> {
    let account = json!({"handle": ACCOUNT, "name": {"en": "Riverside Environment Bureau", "zh-Hans": "河滨市生态环境局"},
        "sector": "environment", "level": "municipal", "region": "Riverside", "parent": null});
    api.ensure("/api/v1/accounts", account).await?;
    let topics = [
        json!({"slug": "environment", "name": {"en": "Environment", "zh-Hans": "生态环境"}}),
        json!({"slug": TOPIC, "name": {"en": "Air", "zh-Hans": "空气质量"}}),
    ];
    for topic in topics {
        api.ensure("/api/v1/topics", topic).await?;
    }
    Ok(())
}
