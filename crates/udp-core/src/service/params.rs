//! Parses the path and the keys of a service URL against those that its protocol takes.

use std::fmt;
use std::fmt::Display;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use super::SpecError;
use crate::text::duration::duration;
use crate::text::escape;

/// Reads a file that holds a secret.
pub type ReadFile = dyn Fn(&str) -> io::Result<Vec<u8>>;

/// A key that a service takes.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// What stands before `=`.
    pub name: &'static str,
    /// What stands behind it, as help shows it: `SIZE|0`.
    pub value: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
    /// Whether it may be given several times.
    pub repeats: bool,
}

impl Key {
    /// A key that is given at most once.
    pub const fn new(name: &'static str, value: &'static str, help: &'static str) -> Key {
        Key { name, value, help, repeats: false }
    }

    /// Whether it names a file that holds a secret.
    pub(super) fn names_a_file(&self) -> bool {
        self.name.ends_with("-file")
    }
}

/// Bytes of a file that are shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// What a file holds, less one line end.
    pub(super) fn read(path: &str, read: &ReadFile) -> Result<Secret, SpecError> {
        let file = || path.to_owned();
        let mut bytes =
            read(path).map_err(|error| SpecError::Unreadable(file(), error.to_string()))?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() { Err(SpecError::Empty(file())) } else { Ok(Secret(bytes)) }
    }

    #[cfg(test)]
    pub(super) fn new(bytes: &[u8]) -> Self {
        Secret(bytes.to_vec())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What was given: each key is one there is, has a value, and stands there once unless it repeats.
pub struct Params {
    pub(super) what: Option<String>,
    /// WHAT is `/` alone.
    pub(super) root: bool,
    pub(super) pairs: Vec<(&'static str, String)>,
    /// What the files hold that keys name.
    pub(super) secrets: Vec<(&'static str, Secret)>,
}

impl Params {
    /// What stands behind the host and `/`.
    pub fn what(&self) -> Option<&str> {
        self.what.as_deref()
    }

    /// Whether `/` stands behind the host, and nothing else.
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a key that repeats.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a key, read as a number, an address or the like; `form` says which.
    ///
    /// # Errors
    /// One line that says what is wrong, here and in the following.
    pub fn parsed<T: FromStr>(&self, name: &str, form: &str) -> Result<Option<T>, String> {
        let parse = |value: &str| value.parse().map_err(|_| wrong(name, value, form));
        self.get(name).map(parse).transpose()
    }

    /// The value of a key that is one of a few words, whose place is returned.
    pub fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<usize>, String> {
        let place = |value: &str| {
            let found = words.iter().position(|word| *word == value);
            found.ok_or_else(|| wrong(name, value, words.join(" or ")))
        };
        self.get(name).map(place).transpose()
    }

    /// The value of a key that is 0 or 1.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        Ok(self.one_of(name, &["0", "1"])?.map(|place| place == 1))
    }

    /// The value of a key that is a duration.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, String> {
        let parse = |value: &str| duration(value).map_err(|error| wrong(name, value, error));
        self.get(name).map(parse).transpose()
    }

    /// The bytes of the file that a key names.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        let mut secrets = self.secrets.iter();
        secrets.find(|(key, _)| *key == name).map(|(_, secret)| secret.clone())
    }
}

/// `type=foo: not a record type`
pub(super) fn wrong(name: &str, value: &str, form: impl Display) -> String {
    format!("{name}={}: {form}", escape::escape(value.as_bytes()))
}
