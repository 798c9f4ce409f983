//! The binary: a caged media child where its hidden subcommand says so, a command of the product otherwise.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(policast::media::cage::SUBCOMMAND) => policast::media::child::main(),
        _ => policast::cli::main(),
    }
}
