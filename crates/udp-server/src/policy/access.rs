//! Who may be answered: `--allow` and `--deny`, as blocks of addresses (CIDR, RFC 4632).
//!
//! The most specific block that holds an address decides about it, whichever option named it and
//! in whatever order; the same block both allowed and denied is denied. Where no block holds it,
//! it is answered if and only if nothing was allowed by name. An IPv4-mapped block or address is
//! an IPv4 one. A file of them has one `allow CIDR` or `deny CIDR` a line; `#` begins a comment.

use std::net::IpAddr;

use udp_core::cli::Fault;
pub use udp_core::cli::cidr::Block;
use udp_core::text::file;

/// The blocks that were named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lists {
    /// Those to answer.
    pub allow: Vec<Block>,
    /// Those not to answer.
    pub deny: Vec<Block>,
}

impl Lists {
    /// The blocks in a file of this name. A byte order mark, CRLF and tabs are taken as editors
    /// write them.
    ///
    /// # Errors
    /// What is wrong, for every line with which something is.
    pub fn parse(name: &str, content: &[u8]) -> Result<Lists, Vec<Fault>> {
        let text = file::decode(content);
        let mut lists = Lists::default();
        let mut faults = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if let Err((message, hint)) = lists.take(text) {
                faults.push(Fault { file: name.into(), line, message, hint });
            }
        }
        if faults.is_empty() { Ok(lists) } else { Err(faults) }
    }

    fn take(&mut self, line: &str) -> Result<(), (String, Option<String>)> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (list, block) = match words[..] {
            [] => return Ok(()),
            ["allow", block] => (&mut self.allow, block),
            ["deny", block] => (&mut self.deny, block),
            [block] if block.parse::<Block>().is_ok() => {
                let hint = format!("write allow {block}, or deny {block}");
                return Err((format!("'{block}' is neither allowed nor denied"), Some(hint)));
            }
            _ => return Err((format!("'{line}': expected allow CIDR or deny CIDR"), None)),
        };
        list.push(block.parse().map_err(|reason| (format!("'{block}': {reason}"), None))?);
        Ok(())
    }

    /// Adds `more`.
    pub fn extend(&mut self, more: Lists) {
        self.allow.extend(more.allow);
        self.deny.extend(more.deny);
    }
}

/// The access list: for each family the ranges of addresses that share a verdict, so that a long
/// list costs little more than a short one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    v4: Ranges,
    v6: Ranges,
}

impl Access {
    /// The list made of these blocks.
    pub fn new(Lists { allow, deny }: &Lists) -> Self {
        let others = allow.is_empty();
        let denied = deny.iter().map(|block| (block.range(), false));
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for ((first, last), allow) in denied.chain(allow.iter().map(|it| (it.range(), true))) {
            let rules = if first.is_ipv4() { &mut v4 } else { &mut v6 };
            rules.push(Rule { first: number(first), last: number(last), allow });
        }
        Access { v4: Ranges::new(v4, others), v6: Ranges::new(v6, others) }
    }

    /// Whether `ip` may be answered. Mapped addresses must have been turned into IPv4.
    pub fn admits(&self, ip: IpAddr) -> bool {
        let ranges = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        ranges.verdict(number(ip))
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    first: u128,
    last: u128,
    allow: bool,
}

/// Where each range begins, in order, and whether its addresses are answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Ranges(Vec<(u128, bool)>);

impl Ranges {
    /// Blocks are nested or apart, never half in each other: those that hold the present address
    /// are a stack, whose top is the most specific one.
    fn new(mut rules: Vec<Rule>, others: bool) -> Self {
        // A block before those inside it; what is denied before what is allowed, and is then kept.
        rules.sort_by_key(|rule| (rule.first, std::cmp::Reverse(rule.last), rule.allow));
        rules.dedup_by_key(|rule| (rule.first, rule.last));
        let mut ranges = vec![(0, others)];
        let mut open: Vec<Rule> = Vec::new();
        for next in rules.into_iter().map(Some).chain([None]) {
            let ends = |it: &mut Rule| next.is_none_or(|next| it.last < next.first);
            while let Some(done) = open.pop_if(ends) {
                let outer = open.last().map_or(others, |rule| rule.allow);
                ranges.extend(done.last.checked_add(1).map(|first| (first, outer)));
            }
            ranges.extend(next.map(|rule| (rule.first, rule.allow)));
            open.extend(next);
        }
        Ranges(ranges)
    }

    fn verdict(&self, ip: u128) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= ip);
        after.checked_sub(1).and_then(|index| self.0.get(index)).is_none_or(|(_, allow)| *allow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::Ipv4Net;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn blocks(texts: &[&str]) -> Vec<Block> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_most_specific_block_decides() {
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let cases: &[Case] = &[
            // allow, deny, answered, dropped
            (&[], &[], &["1.2.3.4", "::1"], &[]),
            (&[], &["10.0.0.0/8"], &["11.0.0.1", "::1"], &["10.1.2.3"]),
            (&["10.0.0.0/8"], &[], &["10.1.2.3"], &["11.0.0.1", "::1", "127.0.0.1"]),
            (&["10.1.0.0/16"], &["10.0.0.0/8"], &["10.1.9.9"], &["10.2.0.1", "8.8.8.8"]),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], &["10.2.0.1"], &["10.1.9.9", "8.8.8.8"]),
            (&["10.1.2.3"], &["10.1.2.0/24"], &["10.1.2.3"], &["10.1.2.4"]),
            (&["10.0.0.0/8"], &["10.0.0.0/8"], &[], &["10.0.0.1"]),
            (&["0.0.0.0/0"], &[], &["8.8.8.8"], &["2001:db8::1"]),
            (&["::/0"], &["2001:db8::/32"], &["::1"], &["2001:db8::1", "8.8.8.8"]),
            (&["2001:db8:1::/48"], &["2001:db8::/32"], &["2001:db8:1::5"], &["2001:db8:2::5"]),
            (&["::ffff:10.0.0.0/104"], &[], &["10.9.9.9"], &["11.0.0.1"]),
            (&["::ffff:10.0.0.1"], &[], &["10.0.0.1"], &["10.0.0.2"]),
            (&["10.1.2.3/8"], &[], &["10.200.0.1"], &["11.0.0.1"]),
        ];
        for (allow, deny, answered, dropped) in cases {
            let access = Access::new(&Lists { allow: blocks(allow), deny: blocks(deny) });
            for ip in *answered {
                assert!(access.admits(ip.parse().unwrap()), "{ip}: allow {allow:?} deny {deny:?}");
            }
            for ip in *dropped {
                assert!(!access.admits(ip.parse().unwrap()), "{ip}: allow {allow:?} deny {deny:?}");
            }
        }
    }

    #[test]
    fn what_is_no_block_is_said_to_be_none() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "host", "10.0.0.0/", "1.2.3.4/-1"] {
            assert!(text.parse::<Block>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_is_read_line_by_line() {
        let content = b"\xef\xbb\xbf# who\r\nallow 10.0.0.0/8\r\n\r\n\tdeny  10.1.0.0/16 # not these\nallow ::1";
        let lists = Lists { allow: blocks(&["10.0.0.0/8", "::1"]), deny: blocks(&["10.1.0.0/16"]) };
        assert_eq!(Lists::parse("f", content), Ok(lists));
        let content =
            b"10.0.0.1\nallow 10.0.0.0/40\nallow ::1\nALLOW ::1\ndeny\nallow ::1 ::2\n\xff\n";
        let faults = Lists::parse("f", content).unwrap_err();
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "f:1: '10.0.0.1' is neither allowed nor denied\n\
                 hint: write allow 10.0.0.1, or deny 10.0.0.1",
                "f:2: '10.0.0.0/40': expected an address or ADDRESS/BITS, such as 192.0.2.0/24",
                "f:4: 'ALLOW ::1': expected allow CIDR or deny CIDR",
                "f:5: 'deny': expected allow CIDR or deny CIDR",
                "f:6: 'allow ::1 ::2': expected allow CIDR or deny CIDR",
                "f:7: '\u{fffd}': expected allow CIDR or deny CIDR",
            ]
        );
    }

    fn any_net() -> impl Strategy<Value = (Ipv4Net, bool)> {
        // Few distinct bits, so that blocks nest and meet.
        (0u32..16, 0u8..=32, any::<bool>()).prop_map(|(high, bits, allow)| {
            (Ipv4Net::new(Ipv4Addr::from(high << 28), bits).unwrap().trunc(), allow)
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_rule_as_written(
            rules in proptest::collection::vec(any_net(), 0..8), high in 0u32..16,
        ) {
            let pick = |allow| -> Vec<Block> {
                rules
                    .iter()
                    .filter(|r| r.1 == allow)
                    .map(|r| r.0.to_string().parse().unwrap())
                    .collect()
            };
            let (allow, deny) = (pick(true), pick(false));
            let ip = Ipv4Addr::from(high << 28);
            let best = rules.iter().filter(|r| r.0.contains(&ip)).map(|r| r.0.prefix_len()).max();
            let expected = best.map(|bits| {
                let same = |r: &&(Ipv4Net, bool)| r.0.contains(&ip) && r.0.prefix_len() == bits;
                rules.iter().filter(same).all(|r| r.1)
            });
            let none_allowed = allow.is_empty();
            let access = Access::new(&Lists { allow, deny });
            prop_assert_eq!(access.admits(ip.into()), expected.unwrap_or(none_allowed));
        }
    }
}
