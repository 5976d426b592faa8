//! Which of a name's addresses is asked: where one refuses, is unreachable or stays silent before
//! anything was ever answered, the next is asked; each message asks each address at most once.
//!
//! Pure: no socket, no clock.

use std::net::{Ipv4Addr, SocketAddr};

/// The addresses of the target, and whose turn it is.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// In the resolver's order.
    all: Vec<SocketAddr>,
    current: usize,
    answered: bool,
}

impl Addresses {
    /// The first of `all` is asked first.
    pub fn new(all: Vec<SocketAddr>) -> Addresses {
        Addresses { all, current: 0, answered: false }
    }

    /// Who is asked now.
    pub fn peer(&self) -> SocketAddr {
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        self.all.get(self.current).copied().unwrap_or(nobody)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// An answer came: from now on the address stays.
    pub fn answered(&mut self) {
        self.answered = true;
    }

    /// A message found nobody at `peer`, and at `asked` addresses before. Unless another is asked
    /// already, the next is from now on, after the last one the first again. True if this message
    /// may go there too.
    pub fn turn_from(&mut self, peer: SocketAddr, asked: usize) -> bool {
        if self.peer() == peer {
            if self.answered {
                return false;
            }
            self.current = (self.current + 1) % self.all.len().max(1);
        }
        asked + 1 < self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_turn_once_a_message_and_then_the_first_again() {
        let [a, b, c] = [1, 2, 3].map(|last| SocketAddr::from(([192, 0, 2, last], 7000)));
        let mut it = Addresses::new(vec![a, b, c]);
        // From whom, asked before, may this message go on, who is asked then.
        for (peer, asked, may, next) in [
            (b, 0, true, a),
            (a, 0, true, b),
            (a, 0, true, b),
            (b, 1, true, c),
            (c, 2, false, a),
            (a, 0, true, b),
        ] {
            assert_eq!((it.turn_from(peer, asked), it.peer()), (may, next), "{peer} {asked}");
        }
        it.answered();
        // What was under way to another when the answer came goes to who answered.
        for (peer, asked, may) in [(b, 0, false), (a, 0, true), (c, 1, true), (a, 2, false)] {
            assert_eq!((it.turn_from(peer, asked), it.peer()), (may, b), "{peer} {asked}");
        }
        let mut one = Addresses::new(vec![a]);
        assert_eq!((one.turn_from(a, 0), one.peer()), (false, a));
    }
}
