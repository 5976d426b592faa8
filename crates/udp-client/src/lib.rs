//! The client's parts. The program itself is a parse, a call and an exit code.

pub mod evidence;
pub mod exchange;
pub mod expectation;
pub mod outcome;
pub mod tally;
