//! A run's names and where their targets move to.

use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::{self, Mono};

use super::discovery::Key;
use super::engine::Engine;
use super::lookup::{Addresses, Found, Question, Reason, Resolver};
use crate::probe::schedule::TargetId;

/// A beat that is lost after this is as good as lost.
const ALMOST: Duration = Duration::from_millis(10);

impl Engine {
    pub(super) fn found(&mut self, Found { question, addresses }: Found) {
        let now = clock::mono();
        self.resolver.iter_mut().for_each(Resolver::go_on);
        let Question { target, endpoint, port } = question;
        let name = (endpoint, port);
        match target {
            Some(target) => self.found_of(target, addresses, now),
            None if self.discovery.is_some() => self.found_each(&name, addresses, now),
            // The start did not wait for it.
            None => {
                let targets: Vec<TargetId> = self.named(&name).collect();
                for target in targets {
                    self.found_of(target, addresses.clone(), now);
                }
            }
        }
    }

    /// The targets of this name.
    fn named(&self, name: &Key) -> impl Iterator<Item = TargetId> {
        self.targets.present().filter(|target| self.targets.target(*target).key() == *name)
    }

    fn found_of(&mut self, target: TargetId, addresses: Addresses, now: Mono) {
        match self.observers.lookups.settle(target, addresses) {
            Some(Ok(addresses)) => self.follow(target, &addresses, now),
            Some(Err(reason)) => self.targets.unresolved(target, &reason, now, &mut self.observers),
            None => {}
        }
    }

    /// Each of the addresses is a target of its own.
    fn found_each(&mut self, name: &Key, addresses: Addresses, now: Mono) {
        let Some(discovery) = &mut self.discovery else { return };
        let (found, reason) = match addresses {
            Ok(found) => (Some(found), None),
            Err(reason) => (None, Some(reason)),
        };
        if discovery.settle(name, found) {
            let targets = discovery.targets();
            self.regroup(targets);
        }
        let Some(reason) = reason else { return };
        let one = self.named(name).next();
        match one {
            Some(one) => self.targets.unresolved(one, &reason, now, &mut self.observers),
            None => log::warn!("{reason}"),
        }
    }

    /// Moves on to one of `addresses`, unless the target is at one of them.
    pub(super) fn follow(&mut self, target: TargetId, addresses: &[SocketAddr], now: Mono) {
        let current = self.targets.target(target).address();
        if current.is_some_and(|current| addresses.contains(&current)) {
            return;
        }
        let entry = self.targets.target(target);
        let admitted: Vec<SocketAddr> =
            addresses.iter().copied().filter(|address| entry.admits(*address)).collect();
        if admitted.is_empty() {
            let reason = "its new address may not be sent to so fast without --fast";
            self.targets.unresolved(target, reason, now, &mut self.observers);
        } else {
            self.targets.place(target, &admitted, now, &mut self.observers);
        }
    }

    /// Has names looked up whose time has come, or whose beats are lost.
    pub(super) fn look_up(&mut self, now: Mono) {
        let mut lost = std::mem::take(&mut self.observers.lost);
        for (target, reason) in lost.drain(..) {
            if let Some(discovery) = &mut self.discovery {
                let name = self.targets.target(target).key();
                if reason == Reason::Lost && discovery.begin(&name, now) {
                    self.ask_each(name);
                }
                continue;
            }
            if reason == Reason::Lost
                && let Some(addresses) = self.observers.lookups.kept(target)
            {
                self.follow(target, &addresses, now);
            }
            if self.observers.lookups.begin(target, reason, now) {
                self.ask(target);
            }
        }
        self.observers.lost = lost;
        while let Some(target) = self.observers.lookups.take(now) {
            self.ask(target);
        }
        while let Some(name) = self.discovery.as_mut().and_then(|it| it.take(now)) {
            self.ask_each(name);
        }
    }

    fn ask_each(&mut self, (endpoint, port): Key) {
        if let Some(resolver) = &mut self.resolver {
            resolver.ask(Question { target: None, endpoint, port });
        }
    }

    /// Before a beat of the target: where two are lost and the third is as good as lost, what was
    /// found early is used now, so that this beat need not go where nobody is.
    pub(super) fn follow_early(&mut self, target: TargetId, now: Mono) {
        if !self.observers.lookups.has_kept(target) {
            return;
        }
        let session = &self.targets.target(target).session;
        let third = session.oldest_in_flight().and_then(|seq| session.beat(seq));
        let timeout = self.targets.setup().rules.timeout;
        if session.unanswered_in_a_row() >= 2
            && third.is_some_and(|beat| beat.sent + timeout <= now + ALMOST)
            && let Some(addresses) = self.observers.lookups.kept(target)
        {
            self.follow(target, &addresses, now);
        }
    }

    pub(super) fn ask(&mut self, target: TargetId) {
        if let Some(resolver) = &mut self.resolver {
            let (endpoint, port) = self.targets.target(target).key();
            resolver.ask(Question { target: Some(target), endpoint, port });
        }
    }
}
