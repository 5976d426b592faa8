//! What a client prefers, by `Accept` or `Accept-Encoding` (RFC 9110 section 12.4.2, 12.5).

/// The best of what `known` makes of the ranges, from a range's name and its parameters, all in lower
/// case; of two that are as welcome, the one that is named first. None where all it knows is refused.
pub fn preferred<T>(
    accept: &str,
    known: impl Fn(&str, &dyn Fn(&str) -> Option<String>) -> Option<T>,
) -> Option<T> {
    let mut best = (None, 0.0);
    for range in accept.split(',') {
        let range = range.to_ascii_lowercase();
        let mut parts = range.split(';').map(str::trim);
        let (name, parts) = (parts.next().unwrap_or_default(), parts);
        let says = |name: &str| {
            let mut values = parts
                .clone()
                .filter_map(|it| it.strip_prefix(name)?.trim_start().strip_prefix('='));
            values.next().map(|it| it.trim().to_owned())
        };
        let quality = says("q").map_or(1.0, |it| it.parse::<f64>().unwrap_or(0.0));
        if quality > best.1
            && let Some(found) = known(name, &says)
        {
            best = (Some(found), quality);
        }
    }
    best.0
}
