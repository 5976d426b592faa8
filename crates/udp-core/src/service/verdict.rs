//! The verdicts on a service's reply.

use std::fmt;

/// What an answer says. The path's figures (loss, round trips) never depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It is what was asked for.
    Ok,
    /// Well formed, and not what is demanded.
    Unexpected,
    /// The service works, and says no to us.
    Declined,
    /// The service says that it cannot.
    Failing,
    /// The service says: slower.
    Limited,
    /// It has our identity, and broken or unauthentic bytes.
    Invalid,
}

impl Verdict {
    /// All of them, in the order they are reported in.
    pub const ALL: [Verdict; 6] = [
        Verdict::Ok,
        Verdict::Unexpected,
        Verdict::Declined,
        Verdict::Failing,
        Verdict::Limited,
        Verdict::Invalid,
    ];

    /// Its name in text and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Unexpected => "unexpected",
            Verdict::Declined => "declined",
            Verdict::Failing => "failing",
            Verdict::Limited => "limited",
            Verdict::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
