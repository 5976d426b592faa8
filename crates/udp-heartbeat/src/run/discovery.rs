//! `--every-address`: names of which each address is a target of its own, when they are looked up,
//! and which targets that makes.
//!
//! Pure: what was found and when are arguments. While a name does not resolve, its addresses stay: a resolver
//! that fails is no reason to stop watching. A name that never resolved is a target without an address.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::Endpoint;
use udp_core::clock::Mono;

use super::lookup::AT_LEAST;
use crate::probe::targets::Listed;
use crate::shard::Shard;

/// Each name is looked up again after this long.
const EVERY: Duration = Duration::from_secs(30);

/// A name, and the port where it names none.
pub(crate) type Key = (Endpoint, u16);

/// What is listed, and the addresses of its names.
#[derive(Debug)]
pub(crate) struct Discovery {
    listed: Vec<Listed>,
    names: HashMap<Key, Name>,
    /// In order of their regular time.
    due: VecDeque<(Mono, Key)>,
    /// Which of the targets are of this process.
    shard: Option<Shard>,
    default_port: u16,
}

#[derive(Debug, Default)]
struct Name {
    asked: Option<Mono>,
    pending: bool,
    /// In order; none as long as nothing was answered, empty if it never resolved.
    found: Option<Vec<SocketAddr>>,
}

impl Discovery {
    pub(crate) fn new(shard: Option<Shard>, default_port: u16) -> Discovery {
        let (listed, names, due) = (Vec::new(), HashMap::new(), VecDeque::new());
        Discovery { listed, names, due, shard, default_port }
    }

    /// These are listed from now on. Names that stay keep their addresses; all are due at once.
    pub(crate) fn list(&mut self, listed: Vec<Listed>, now: Mono) {
        let mut before = mem::take(&mut self.names);
        self.due.clear();
        let keys: Vec<Key> = listed.iter().filter_map(|it| self.key(it)).collect();
        for key in keys {
            if !self.names.contains_key(&key) {
                self.due.push_back((now, key.clone()));
                let name = before.remove(&key).unwrap_or_default();
                self.names.insert(key, name);
            }
        }
        self.listed = listed;
    }

    fn key(&self, listed: &Listed) -> Option<Key> {
        listed.endpoint.is_name().then(|| listed.key(self.default_port))
    }

    /// When the next regular look-up is due.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        self.due.front().map(|(due, _)| *due)
    }

    /// A name that is to be looked up now: ask until there is none.
    pub(crate) fn take(&mut self, now: Mono) -> Option<Key> {
        while self.next_due().is_some_and(|due| due <= now) {
            let (_, key) = self.due.pop_front()?;
            self.due.push_back((now + EVERY, key.clone()));
            if self.begin(&key, now) {
                return Some(key);
            }
        }
        None
    }

    /// Whether the name, out of turn, is to be looked up now.
    pub(crate) fn begin(&mut self, key: &Key, now: Mono) -> bool {
        let Some(name) = self.names.get_mut(key) else { return false };
        if name.pending || name.asked.is_some_and(|asked| now < asked + AT_LEAST) {
            return false;
        }
        (name.asked, name.pending) = (Some(now), true);
        true
    }

    /// A look-up is over; none if it failed. Whether targets come or go by it.
    pub(crate) fn settle(&mut self, key: &Key, found: Option<Vec<SocketAddr>>) -> bool {
        let Some(name) = self.names.get_mut(key) else { return false };
        name.pending = false;
        let mut found = found.or_else(|| name.found.clone()).unwrap_or_default();
        found.sort_unstable();
        let found = Some(found);
        found != mem::replace(&mut name.found, found.clone())
    }

    /// All targets that there are now, in the order of the list, those of a name in that of their addresses.
    pub(crate) fn targets(&self) -> Vec<Listed> {
        let holds =
            |it: &Listed| self.shard.is_none_or(|shard| shard.holds(&it.label(self.default_port)));
        let mut targets = Vec::new();
        for listed in &self.listed {
            match self.key(listed).map(|key| self.names.get(&key).and_then(|it| it.found.as_ref()))
            {
                None => targets.push(listed.clone()),
                Some(None) => {}
                Some(Some(found)) if found.is_empty() => targets.push(listed.clone()),
                Some(Some(found)) => {
                    let one = |at: &SocketAddr| Listed { at: Some(*at), ..listed.clone() };
                    targets.extend(found.iter().map(one));
                }
            }
        }
        targets.retain(holds);
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets_file;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(1_000_000_000 + ms * 1_000_000)
    }

    fn listed(text: &str) -> Vec<Listed> {
        targets_file::parse("f", text.replace(' ', "\n").as_bytes(), None).unwrap()
    }

    fn labels(discovery: &Discovery) -> String {
        let labels = discovery.targets().iter().map(|it| it.label(7000)).collect::<Vec<_>>();
        labels.join(" ")
    }

    /// What a name resolves to, or `-` if it does not.
    fn answer(discovery: &mut Discovery, text: &str) -> bool {
        let (name, found) = text.split_once(" = ").unwrap();
        let key = listed(name)[0].key(7000);
        let address = |ip: &str| SocketAddr::new(ip.parse().unwrap(), key.1);
        let found = (found != "-").then(|| found.split(' ').map(address).collect());
        discovery.settle(&key, found)
    }

    #[test]
    fn which_targets_come_stay_and_go() {
        let steps = [
            ("a 192.0.2.9 b:9", true, "192.0.2.9:7000"),
            ("a = 10.0.0.2 10.0.0.1", true, "a:7000@10.0.0.1 a:7000@10.0.0.2 192.0.2.9:7000"),
            // A resolver turns the order round.
            ("a = 10.0.0.1 10.0.0.2", false, "a:7000@10.0.0.1 a:7000@10.0.0.2 192.0.2.9:7000"),
            ("a = 10.0.0.1", true, "a:7000@10.0.0.1 192.0.2.9:7000"),
            // It never resolved: a target without an address.
            ("b:9 = -", true, "a:7000@10.0.0.1 192.0.2.9:7000 b:9"),
            ("b:9 = -", false, "a:7000@10.0.0.1 192.0.2.9:7000 b:9"),
            (
                "b:9 = fd00::1 10.0.0.1",
                true,
                "a:7000@10.0.0.1 192.0.2.9:7000 b:9@10.0.0.1 b:9@fd00::1",
            ),
            // It resolves to nothing for a while: what it had stays.
            ("b:9 = -", false, "a:7000@10.0.0.1 192.0.2.9:7000 b:9@10.0.0.1 b:9@fd00::1"),
            ("b:9 = fd00::2", true, "a:7000@10.0.0.1 192.0.2.9:7000 b:9@fd00::2"),
            // Names that stay keep what they had, whoever asks; another port is another name.
            ("dns://b:9/x b:9 a:1", true, "dns://b:9@fd00::2/x b:9@fd00::2"),
            ("a = 10.0.0.7", false, "dns://b:9@fd00::2/x b:9@fd00::2"),
            ("a:1 = 10.0.0.7", true, "dns://b:9@fd00::2/x b:9@fd00::2 a:1@10.0.0.7"),
        ];
        let mut discovery = Discovery::new(None, 7000);
        for (step, changed, expected) in steps {
            if step.contains(" = ") {
                assert_eq!(answer(&mut discovery, step), changed, "{step}");
            } else {
                discovery.list(listed(step), at(0));
            }
            assert_eq!(labels(&discovery), expected, "{step}");
        }
    }

    #[test]
    fn each_address_is_of_one_part() {
        let all = "a:7000@10.0.0.1 a:7000@10.0.0.2 a:7000@10.0.0.3 a:7000@10.0.0.4 b:7000";
        let of = |shard: Option<&str>| {
            let mut discovery = Discovery::new(shard.map(|it| it.parse().unwrap()), 7000);
            discovery.list(listed("a b"), at(0));
            answer(&mut discovery, "a = 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4");
            answer(&mut discovery, "b = -");
            labels(&discovery)
        };
        assert_eq!(of(None), all);
        let parts = ["1/3", "2/3", "3/3"].map(|shard| of(Some(shard)));
        let mut parts: Vec<&str> = parts.iter().flat_map(|it| it.split_whitespace()).collect();
        parts.sort_unstable();
        assert_eq!(parts.join(" "), all);
    }

    #[test]
    fn when_names_are_looked_up() {
        let mut discovery = Discovery::new(None, 7000);
        discovery.list(listed("a 192.0.2.9 dns://b a"), at(0));
        let name = |text: &str| listed(text)[0].key(7000);
        let take = |discovery: &mut Discovery, now| {
            std::iter::from_fn(|| discovery.take(now)).collect::<Vec<_>>()
        };
        assert_eq!(take(&mut discovery, at(0)), [name("a"), name("dns://b")]);
        assert_eq!(discovery.next_due(), Some(at(30_000)));
        assert!(!discovery.begin(&name("a"), at(5000)), "still being looked up");
        answer(&mut discovery, "a = 10.0.0.1");
        assert!(discovery.begin(&name("a"), at(5000)));
        answer(&mut discovery, "a = -");
        assert!(!discovery.begin(&name("a"), at(5900)), "not twice a second");
        assert!(!discovery.begin(&name("c"), at(9000)), "no name of the list");
        // That of b hangs.
        assert_eq!(take(&mut discovery, at(30_000)), [name("a")]);
        // All at once where the list is read again.
        answer(&mut discovery, "a = 10.0.0.1");
        discovery.list(listed("a"), at(40_000));
        assert_eq!(take(&mut discovery, at(40_000)), [name("a")]);
        assert_eq!(take(&mut discovery, at(69_999)), []);
    }
}
