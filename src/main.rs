//! The command `policast`.

fn main() {}
