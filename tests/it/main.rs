//! The one integration binary: whole rooms and the real program, on clips made as the tests run.

mod cage;
mod catalogue;
mod clip;
mod pipeline;
mod postgres;
mod probe;
mod processing;
mod receiving;
mod storage;
mod weed;
mod world;
