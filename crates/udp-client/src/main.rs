//! a UDP client for people and scripts.

fn main() {}
