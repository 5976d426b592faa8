//! What was typed, as messages quote it: without what may be a password.
//!
//! No target takes a user, and secrets come from files. Who types one all the same must not find it in a log.

use std::borrow::Cow;

/// What stands in place of a secret.
const HIDDEN: &str = "…";
/// Parts of the names of keys whose values are secrets, unless they name a file.
const NAMES: [&str; 5] = ["secret", "community", "pass", "token", "key"];

/// `message` without the users (RFC 3986 §3.2.1) and the secrets of the targets that it quotes, and without
/// the hashes of bcrypt.
///
/// ```
/// use udp_core::text::credentials::hidden;
/// assert_eq!(hidden("'dns://me:pw@h?key=pw': no"), "'dns://…@h?key=…': no");
/// ```
pub fn hidden(message: &str) -> Cow<'_, str> {
    if !message.contains(['@', '?', '$']) {
        return message.into();
    }
    let (mut shown, mut rest, mut quoted) = (String::new(), message, false);
    while !rest.is_empty() {
        // Between two `'` a text is one word.
        let ends: &[char] = if quoted { &['\''] } else { &[' ', '\'', '"', '`'] };
        let (word, next) = rest.split_at(rest.find(ends).map_or(rest.len(), |at| at + 1));
        shown.push_str(&of_word(word, quoted));
        // Behind a letter it is an apostrophe.
        let before = word.strip_suffix('\'').filter(|_| !quoted);
        quoted = before.is_some_and(|it| !it.ends_with(char::is_alphanumeric));
        rest = next;
    }
    shown.into()
}

/// The same of one word; a target that has no scheme is known by its quotes.
fn of_word(word: &str, quoted: bool) -> String {
    if word.starts_with("$2") && word.matches('$').count() > 2 {
        return format!("{HIDDEN}{}", &word[word.trim_end_matches([' ', '\'', '"', '`']).len()..]);
    }
    let (scheme, rest) = match word.find("://") {
        Some(at) => word.split_at(at + 3),
        None => ("", word),
    };
    // A `?` that an `@` follows before any `=` is a part of a password.
    let begins = |at: &usize| rest[*at..].chars().find(|c| "@=".contains(*c)) != Some('@');
    let query = rest.match_indices('?').map(|(at, _)| at).find(begins);
    let (place, query) = rest.split_at(query.unwrap_or(rest.len()));
    let mut shown = scheme.to_owned();
    match place.rfind('@').filter(|_| quoted || !scheme.is_empty()) {
        Some(at) => shown.extend([HIDDEN, &place[at..]]),
        None => shown.push_str(place),
    }
    for pair in query.split_inclusive('&') {
        let (name, value) = pair.split_at(pair.find('=').map_or(pair.len(), |at| at + 1));
        let lower = name.to_ascii_lowercase();
        let secret = NAMES.iter().any(|part| lower.contains(part)) && !lower.ends_with("-file=");
        let end = &value[value.trim_end_matches(['&', ' ', '\'', '"']).len()..];
        shown.push_str(name);
        match secret && !value.is_empty() {
            true => shown.extend([HIDDEN, end]),
            false => shown.push_str(value),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_password_is_not_quoted() {
        for (message, expected) in [
            ("nothing of it", "nothing of it"),
            ("invalid value 'u:pw@h:1' for 'T'", "invalid value '…@h:1' for 'T'"),
            ("'dns://u:p/w@h/x?type=A' is bad", "'dns://…@h/x?type=A' is bad"),
            ("write udp://u:pw@h:1, or h:1", "write udp://…@h:1, or h:1"),
            ("'dns://me:p?ss@h?type=A': no", "'dns://…@h?type=A': no"),
            ("'dns://u:p@w?x@h/a?expect=b@c'", "'dns://…@h/a?expect=b@c'"),
            ("a host's 'u:p w@h' is bad", "a host's '…@h' is bad"),
            ("'h?secret=p w&x=1' for 'T'", "'h?secret=…&x=1' for 'T'"),
            ("'snmp://h?v=1&Community=pw&x=1': no", "'snmp://h?v=1&Community=…&x=1': no"),
            ("service 'radius:?secret=pw': no", "service 'radius:?secret=…': no"),
            ("?secret=a@b x", "?secret=… x"),
            ("snmp://h?community-file=f: bad", "snmp://h?community-file=f: bad"),
            ("unknown field `$2y$04$E/z8GRdjwwZbqg`, expected", "unknown field `…`, expected"),
            // Not typed, but how one address of a name is called.
            ("h:7000@10.0.0.1 is gone", "h:7000@10.0.0.1 is gone"),
        ] {
            assert_eq!(hidden(message), expected);
        }
    }
}
