//! The real binary from outside: real clients upload, a real browser plays, real tools judge what comes out.

mod api;
mod browser;
mod chaos;
mod clients;
mod clip;
mod command;
mod connections;
mod generated;
mod kill;
mod live;
mod messages;
mod observed;
mod outage;
mod pictures;
mod playlist;
#[path = "../it/ports.rs"]
mod ports;
#[path = "../it/postgres.rs"]
mod postgres;
mod proxy;
mod schema;
mod segments;
mod server;
mod srt;
mod start;
mod store;
mod sync;
mod tool;
mod tus;
#[path = "../it/weed.rs"]
mod weed;
