//! Named values that a service's reply carries beside its verdict, and how they are printed.

use std::fmt;
use std::time::Duration;

use crate::text::escape;
use crate::text::units::Millis;

/// The longest string that is taken from a reply.
const LONGEST: usize = 255;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fact {
    /// A string: a stranger's, so it is escaped wherever it is shown.
    Text(String),
    /// A number. That of a fact whose name ends in `_ns` is nanoseconds.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Several strings.
    List(Vec<String>),
}

impl Fact {
    /// A string from a reply: its first 255 bytes, as text, or in the escape form if they are none.
    pub fn text(bytes: &[u8]) -> Fact {
        Fact::Text(text(bytes))
    }

    /// The number that a metric of it has.
    pub fn number(&self) -> Option<i64> {
        match self {
            Fact::Number(number) => Some(*number),
            Fact::Flag(flag) => Some(i64::from(*flag)),
            Fact::Text(_) | Fact::List(_) => None,
        }
    }
}

/// A stranger's string: see [`Fact::text`].
pub(super) fn text(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(LONGEST)];
    match str::from_utf8(cut) {
        Ok(text) => text.to_owned(),
        // The cut may have parted a character.
        Err(error) if bytes.len() > LONGEST && error.error_len().is_none() => {
            String::from_utf8_lossy(&cut[..error.valid_up_to()]).into_owned()
        }
        Err(_) => escape::escape(cut),
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Fact::text(text.as_bytes())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Fact::text(text.as_bytes())
    }
}

impl From<i64> for Fact {
    fn from(number: i64) -> Self {
        Fact::Number(number)
    }
}

impl From<i32> for Fact {
    fn from(number: i32) -> Self {
        Fact::Number(number.into())
    }
}

impl From<u32> for Fact {
    fn from(number: u32) -> Self {
        Fact::Number(number.into())
    }
}

impl From<Vec<String>> for Fact {
    fn from(all: Vec<String>) -> Self {
        Fact::List(all)
    }
}

impl From<bool> for Fact {
    fn from(flag: bool) -> Self {
        Fact::Flag(flag)
    }
}

/// As text has it: on one line, harmless.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Text(text) => f.write_str(&escape::escape(text.as_bytes())),
            Fact::Number(number) => number.fmt(f),
            Fact::Flag(flag) => u8::from(*flag).fmt(f),
            Fact::List(all) => f.write_str(&escape::escape(all.join(",").as_bytes())),
        }
    }
}

/// The facts of a reply, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts(Vec<(&'static str, Fact)>);

impl Facts {
    /// One more.
    pub fn push(&mut self, name: &'static str, fact: impl Into<Fact>) {
        self.0.push((name, fact.into()));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Fact)> {
        self.0.iter().map(|(name, fact)| (*name, fact))
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.iter().find(|(it, _)| *it == name).map(|(_, fact)| fact)
    }

    /// All of them as people read them: `offset_ns`, in nanoseconds, is `offset` in milliseconds.
    pub fn in_words(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.iter().map(|(name, fact)| in_words(name, fact))
    }

    /// Those that [`super::Entry::shown`] names, on one line: `192.0.2.7 ttl=300`.
    pub fn shown(&self, names: &[&str]) -> String {
        let mut line = String::new();
        for name in names {
            let (name, named) = name.strip_suffix('=').map_or((*name, false), |it| (it, true));
            let Some(fact) = self.get(name) else { continue };
            let (name, value) = in_words(name, fact);
            let blank = if line.is_empty() { "" } else { " " };
            line.push_str(blank);
            if named {
                line.push_str(name);
                line.push('=');
            }
            line.push_str(&value);
        }
        line
    }
}

fn in_words<'a>(name: &'a str, fact: &Fact) -> (&'a str, String) {
    match (name.strip_suffix("_ns"), fact) {
        (Some(name), Fact::Number(nanos)) => {
            let sign = if *nanos < 0 { "-" } else { "" };
            let span = Millis(Duration::from_nanos(nanos.unsigned_abs()));
            (name, format!("{sign}{span} ms"))
        }
        _ => (name, fact.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_string_is_short_and_text() {
        let cases: [(&[u8], &str); 4] = [
            (b"probe1", "probe1"),
            ("grüße".as_bytes(), "grüße"),
            (b"\xff\x00", "\\xff\\0"),
            (b"a\x1b[2J", "a\x1b[2J"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Fact::text(bytes), Fact::Text(text.into()));
        }
        let long = format!("{}{}", "x".repeat(254), "ü".repeat(9));
        assert_eq!(Fact::text(long.as_bytes()), Fact::Text("x".repeat(254)));
        assert_eq!(Fact::text(b"a\x1b[2J\n").to_string(), "a\\x1b[2J\\n");
    }

    #[test]
    fn a_line_has_what_is_there() {
        let mut facts = Facts::default();
        facts.push("first", "192.0.2.7");
        facts.push("ttl", 300);
        facts.push("offset_ns", -1_500_000);
        facts.push("aa", true);
        let shown = facts.shown(&["none", "first", "ttl=", "offset_ns=", "aa="]);
        assert_eq!(shown, "192.0.2.7 ttl=300 offset=-1.500 ms aa=1");
        assert_eq!(facts.shown(&[]), "");
        assert_eq!(facts.get("aa").and_then(Fact::number), Some(1));
    }
}
