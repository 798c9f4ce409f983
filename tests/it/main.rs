//! The one integration binary: whole rooms and the real program, on clips made as the tests run.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]
#![expect(clippy::disallowed_methods, reason = "a test owns what it spawns")]

mod app;
mod auth;
mod bulk;
mod cage;
mod catalogue;
mod cdn;
mod clip;
mod cut;
mod errors;
mod faults;
mod faulty;
mod finishing;
mod fsck;
mod ingest;
mod leftovers;
mod lists;
mod news;
mod parts;
mod pipeline;
mod play;
mod pool;
mod poster;
mod postgres;
mod probe;
mod processing;
mod quota;
mod receiving;
mod rename;
mod reprocessing;
mod rights;
mod rtmp;
mod secrets;
mod shares;
mod sources;
mod srt;
mod statements;
mod storage;
mod strict;
mod targets;
mod tus;
mod versions;
mod videos;
mod weed;
mod world;
