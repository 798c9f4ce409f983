//! policast: video publishing for government agencies' policy explainers.
//!
//! The rooms, and who may import whom (checked by `tests/house`):
//!
//! - [`cli`]: the commands; the only place where rooms are put together, from [`config`] and [`observability`].
//! - [`web`]: the pages people see: watch, embed, home, studio.
//! - [`http`]: the JSON API, tus and playback; the router on one page.
//! - [`live`]: encoders in by RTMP and SRT, LL-HLS out, the recording, and pushing on.
//! - [`worker`]: claims jobs and does them, one job per file.
//! - [`publishing`]: the verbs of the product, one transaction each.
//! - [`media`]: libav in a caged child process; ladder, timeline and playlists as pure functions.
//! - [`catalogue`]: all the SQL, one file per table, SQLite and PostgreSQL behind one `Db`.
//! - [`storage`]: S3, always; `storage::embedded` is the S3 server for one machine.
//! - [`net`]: the accept loop of every HTTP port, its limits and deadlines; whose request it is behind a proxy.
//! - [`domain`]: nouns and rules; no async, no I/O.
//! - [`fault`]: where a test may stop or refuse a commit or a change to the bucket; nothing in a release build.
//!
//! A day in the life of a video: `http::uploads` takes the bytes through [`publishing::Receiver`] into the bucket;
//! `Publishing::finish_upload`, where every door ends, asks for a probe; `worker::probe` looks at the source in the
//! cage and plans ladder and timeline; `worker::chunk`, `sound` and `stills` make packs and pictures;
//! `publishing::settle` decides what the video has come to and switches it over in one row; `http::play` renders
//! playlists from rows and serves packs by range; `web::watch` plays them.

pub mod catalogue;
pub mod cli;
pub mod config;
pub mod domain;
pub mod fault;
pub mod http;
pub mod live;
pub mod media;
pub mod net;
pub mod observability;
pub mod publishing;
pub mod storage;
pub mod web;
pub mod worker;
