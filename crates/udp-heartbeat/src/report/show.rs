//! Which events are shown: `--show LIST`, or those that `--quiet` leaves.

use std::str::FromStr;

/// An event that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sent,
    Reply,
    Lost,
    Late,
    Duplicate,
    Refused,
    Error,
    State,
    Interval,
    Summary,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Sent,
        Kind::Reply,
        Kind::Lost,
        Kind::Late,
        Kind::Duplicate,
        Kind::Refused,
        Kind::Error,
        Kind::State,
        Kind::Interval,
        Kind::Summary,
    ];

    /// Its name in lists, and the `type` of its JSON object.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Sent => "sent",
            Kind::Reply => "reply",
            Kind::Lost => "lost",
            Kind::Late => "late",
            Kind::Duplicate => "duplicate",
            Kind::Refused => "refused",
            Kind::Error => "error",
            Kind::State => "state",
            Kind::Interval => "interval",
            Kind::Summary => "summary",
        }
    }
}

/// A set of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Show(u16);

impl Show {
    pub(crate) const NOTHING: Show = Show(0);
    pub(crate) const EVERYTHING: Show = Show((1 << Kind::ALL.len()) - 1);

    /// Nothing else.
    pub(crate) fn only(kind: Kind) -> Show {
        Show::NOTHING.with(kind)
    }

    /// No line per beat.
    pub(crate) fn quiet() -> Show {
        [Kind::State, Kind::Interval, Kind::Summary].into_iter().fold(Show::NOTHING, Show::with)
    }

    pub(crate) fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    fn with(self, kind: Kind) -> Show {
        Show(self.0 | 1 << kind as u16)
    }

    fn without(self, kind: Kind) -> Show {
        Show(self.0 & !(1 << kind as u16))
    }
}

impl FromStr for Show {
    type Err = String;

    /// Names by commas. `-name` leaves one out, of all if none is named without the sign.
    fn from_str(text: &str) -> Result<Show, String> {
        let names = || text.split(',').map(str::trim);
        let start = if names().all(|name| name.starts_with('-')) {
            Show::EVERYTHING
        } else {
            Show::NOTHING
        };
        names().try_fold(start, |show, name| {
            let (name, add) = match name.strip_prefix('-') {
                Some(name) => (name, false),
                None => (name, true),
            };
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            let kind = kind.ok_or_else(|| {
                let all = Kind::ALL.map(Kind::name).join(", ");
                format!("'{name}' is none of {all}")
            })?;
            Ok(if add { show.with(kind) } else { show.without(kind) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let cases: [(&str, &[Kind]); 4] = [
            ("sent", &[Kind::Sent]),
            ("lost,state, summary", &[Kind::Lost, Kind::State, Kind::Summary]),
            ("lost,state,-lost", &[Kind::State]),
            ("-sent,-summary", &Kind::ALL[1..9]),
        ];
        for (text, expected) in cases {
            let expected = expected.iter().copied().fold(Show::NOTHING, Show::with);
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for wrong in ["", "sent,", "all", "--sent", "Sent"] {
            assert!(wrong.parse::<Show>().is_err(), "{wrong}");
        }
    }
}
