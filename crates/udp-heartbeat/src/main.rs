//! a UDP heartbeat that measures a path.

fn main() {}
