//! As much of a SIP response's form (RFC 3261 section 7) as is needed to tell whose it is and what it says.

/// A response. Its parts are looked for when they are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    start: &'a [u8],
    headers: &'a [u8],
    /// None if the headers do not end.
    body: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// None if it does not begin as a response does.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let start = bytes.strip_prefix(b"SIP/2.0 ")?;
        let end = start.iter().position(|byte| *byte == b'\n')?;
        let (start, rest) = start.split_at(end);
        let rest = &rest[1..];
        // Some end their lines with LF alone.
        let blank = [&b"\n\r\n"[..], b"\n\n"];
        let end = |mark: &[u8]| {
            let at = rest.windows(mark.len()).position(|some| some == mark)?;
            Some((at + 1, at + mark.len()))
        };
        let (headers, body) = match blank.iter().filter_map(|mark| end(mark)).min() {
            Some((headers, body)) => (&rest[..headers], Some(&rest[body..])),
            None => (rest, None),
        };
        Some(Message { start: start.strip_suffix(b"\r").unwrap_or(start), headers, body })
    }

    /// The code and its phrase, if the code is one.
    pub(super) fn status(&self) -> Option<(u16, &'a [u8])> {
        let (digits, phrase) = self.start.split_at_checked(3)?;
        let code = str::from_utf8(digits).ok()?.parse().ok()?;
        let phrase = match phrase {
            [] => phrase,
            [b' ', phrase @ ..] => phrase,
            _ => return None,
        };
        (100..=699).contains(&code).then_some((code, phrase.trim_ascii()))
    }

    /// The value of the first header of this name, long or short, in lower case; folded lines are part of it.
    pub(super) fn header(&self, name: &str, short: &str) -> Option<&'a [u8]> {
        let mut rest = self.headers;
        while !rest.is_empty() {
            let end = end_of_header(rest);
            let (line, after) = rest.split_at(end);
            rest = after;
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (key, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
            if key.eq_ignore_ascii_case(name.as_bytes())
                || key.eq_ignore_ascii_case(short.as_bytes())
            {
                return Some(value);
            }
        }
        None
    }

    /// The branch of the first Via.
    pub(super) fn branch(&self) -> Option<&'a str> {
        let first = self.header("via", "v")?.split(|byte| *byte == b',').next()?;
        let mut parameters = first.split(|byte| *byte == b';').skip(1);
        let value = parameters.find_map(|parameter| {
            let at = parameter.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (parameter[..at].trim_ascii(), parameter[at + 1..].trim_ascii());
            name.eq_ignore_ascii_case(b"branch").then_some(value)
        })?;
        str::from_utf8(value).ok()
    }

    /// Whether the headers end, and the body is as long as they say (RFC 3261 section 18.3).
    pub(super) fn is_whole(&self) -> bool {
        let Some(body) = self.body else { return false };
        let Some(length) = self.header("content-length", "l") else { return true };
        let length = str::from_utf8(length).ok().and_then(|text| text.parse::<usize>().ok());
        length.is_some_and(|length| length <= body.len())
    }
}

/// Where the first header ends: behind a line that is not followed by one that begins with a blank.
fn end_of_header(headers: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = headers[at..].iter().position(|byte| *byte == b'\n') {
        at += line + 1;
        if !matches!(headers.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
    headers.len()
}
