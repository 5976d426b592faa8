//! a UDP echo server and STAMP reflector.

fn main() {}
