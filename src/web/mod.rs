//! Pages for people: watch, embed, home, studio and errors, rendered on the server, with the player they embed.

pub mod assets;
mod docs;
pub mod embed;
pub mod error;
mod frame;
pub mod home;
pub mod language;
mod linked;
mod links;
mod load;
mod pages;
mod phrases;
mod player;
mod spoken;
mod studio;
pub mod watch;
pub mod ways;

pub use pages::{closed, router};
