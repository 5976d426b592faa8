//! Runs one probe: look-up, access check, a prober of its own, and the result.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use udp_core::cli::parse::ShownDuration;
use udp_core::cli::web::Asker;
use udp_core::clock::{self, Mono};
use udp_core::endpoint::host_port;
use udp_core::expect::Expectation;
use udp_core::service::Spec;
use udp_core::stamp::Key;
use udp_core::{Endpoint, Family};

use super::evidence::{Evidence, Witness};
use super::{Common, Forbidden};
use crate::modules::Module;
use crate::plan::{Local, Plan};
use crate::probe::counts::Counts;
use crate::probe::format::{Format, Padding};
use crate::probe::targets::Listed;
use crate::probe::verdict::{Verdict, Verdicts};
use crate::run::Prober;

const REFUSED: &str = "refused";
const SILENT: &str = "silent";
const FAILED: &str = "failed";
/// What becomes of a probe: the verdicts of answers, and three without one.
pub(super) const RESULTS: [&str; 9] =
    ["ok", "unexpected", "declined", "failing", "limited", "invalid", REFUSED, SILENT, FAILED];

/// What came of a probe.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) success: bool,
    pub(super) result: &'static str,
    pub(super) duration: Duration,
    pub(super) timeout: Duration,
    pub(super) lookup: Duration,
    pub(super) address: Option<IpAddr>,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// In order of their length.
    rtts: Vec<Duration>,
    pub(super) facts: BTreeMap<&'static str, i64>,
    pub(super) failed_due_to_regex: bool,
    pub(super) failed_due_to_bytes: bool,
    /// Of a DNS server's answer: records that answer, of authorities, and additional ones.
    pub(super) dns: Option<[u16; 3]>,
    /// The serial number of the zone whose SOA record was asked for.
    pub(super) serial: Option<i64>,
}

impl Outcome {
    /// The least, the median and the greatest round trip, if there was one.
    pub(super) fn rtts(&self) -> Option<[Duration; 3]> {
        let (least, greatest) = (*self.rtts.first()?, *self.rtts.last()?);
        let middle = self.rtts.len() / 2;
        let upper = *self.rtts.get(middle)?;
        let median = match self.rtts.len() % 2 {
            0 => (*self.rtts.get(middle - 1)? + upper) / 2,
            _ => upper,
        };
        Some([least, median, greatest])
    }
}

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) module: &'a Module,
    pub(super) key: Option<&'a Key>,
    pub(super) target: &'a Endpoint,
    pub(super) timeout: Duration,
    pub(super) asker: &'a Asker,
}

impl Question<'_> {
    /// Asks.
    ///
    /// # Errors
    /// When the address may not be sent to; then nothing was sent.
    pub(super) fn ask(&self, common: &Common, witness: &Witness) -> Result<Outcome, Forbidden> {
        let start = clock::mono();
        let found = self.find(common, witness);
        let lookup = clock::mono().saturating_since(start);
        let (address, counts) = match found {
            Ok(address) => {
                witness.note(|| format!("asking {}", host_port(address)));
                if !common.allow.admits(address.ip()) {
                    return Err(Forbidden(address.ip()));
                }
                (Some(address.ip()), self.run(common, witness, (start, address)))
            }
            Err(reason) => {
                witness.note(|| reason);
                (None, Counts::default())
            }
        };
        let duration = clock::mono().saturating_since(start);
        let outcome = self.outcome(&counts, &mut witness.seen());
        let outcome = Outcome { duration, lookup, address, ..outcome };
        witness.note(|| {
            let (result, duration) = (outcome.result, ShownDuration(outcome.duration));
            format!("result {result}, success {}, after {duration}", u8::from(outcome.success))
        });
        Ok(outcome)
    }

    /// The address that is asked: the first of the preferred family.
    fn find(&self, common: &Common, witness: &Witness) -> Result<SocketAddr, String> {
        let Module { family, fallback, spec, .. } = self.module;
        let port = spec.as_ref().map_or(udp_core::endpoint::DEFAULT_PORT, Spec::port);
        let only = if *fallback { common.family } else { *family };
        let target = self.target;
        witness.note(|| format!("resolving {target}"));
        let found = common.lookups.resolve(target, (only, port), self.timeout, self.asker)?;
        let usable = || found.iter().filter(|address| common.family.admits(address.ip()));
        let preferred = usable().find(|address| family.admits(address.ip()));
        let other = usable().next();
        preferred.or(other).copied().ok_or_else(|| {
            let family = if common.family == Family::Any { *family } else { common.family };
            format!("{target} has no {family} address")
        })
    }

    /// Sends, and waits for answers until the time is over.
    fn run(
        &self,
        common: &Common,
        witness: &Witness,
        (start, address): (Mono, SocketAddr),
    ) -> Counts {
        let left = self.timeout.saturating_sub(clock::mono().saturating_since(start));
        if left.is_zero() {
            witness.note(|| "no time is left".into());
            return Counts::default();
        }
        let prober = self
            .plan(common, address, left)
            .and_then(|plan| Prober::new(plan, witness.clone()).map_err(|failure| failure.message));
        let prober = match prober {
            Ok(prober) => prober,
            Err(reason) => {
                witness.note(|| reason);
                return Counts::default();
            }
        };
        let caller = prober.caller();
        self.asker.when_gone(move || caller.stop());
        prober.run().totals
    }

    fn plan(&self, common: &Common, address: SocketAddr, left: Duration) -> Result<Plan, String> {
        let module = self.module;
        // A name would be looked up again.
        let endpoint = host_port(address).parse().map_err(|_| "no address".to_owned())?;
        let source = module.source.map(|ip| Endpoint::from_addr(SocketAddr::new(ip, 0)));
        let format = Format::Plain { payload: module.payload.clone(), padding: Padding::default() };
        let mut plan = Plan::new([]).interval(module.interval).timeout(left).deadline(left);
        plan.targets = vec![Listed { spec: module.spec.clone(), ..Listed::bare(endpoint) }];
        plan.format = format;
        plan.judged = true;
        plan.expectation = module.expectation.clone();
        plan.key = self.key.cloned();
        plan.count = Some(module.count);
        plan.fast = common.fast;
        plan.family = common.family;
        plan.backend = common.backend;
        plan.local = Local {
            bind: source,
            interface: common.interface.clone(),
            ttl: module.ttl,
            dscp: module.dscp,
            ecn: None,
        };
        plan.lingers = false;
        plan.sockets = Some(common.sockets);
        Ok(plan)
    }

    fn outcome(&self, counts: &Counts, seen: &mut Evidence) -> Outcome {
        let module = self.module;
        let (ok, bad) = (counts.verdicts.of(Verdict::Ok), counts.verdicts.not_ok());
        let success = match module.min_replies {
            Some(least) => ok >= least,
            None => ok > 0 && bad == 0,
        };
        let sent = counts.sent - counts.failed;
        let result = match worst(&counts.verdicts) {
            _ if success => Verdict::Ok.name(),
            Some(verdict) => verdict.name(),
            None if sent == 0 => FAILED,
            None if counts.refused > 0 => REFUSED,
            None => SILENT,
        };
        let wrong = !success && counts.verdicts.of(Verdict::Unexpected) > 0;
        let serial = seen.facts.get("serial").copied().unwrap_or_default();
        let serial = module.asks_soa().then_some(serial);
        let mut rtts = std::mem::take(&mut seen.rtts);
        rtts.sort_unstable();
        Outcome {
            success,
            result,
            duration: Duration::ZERO,
            timeout: self.timeout,
            lookup: Duration::ZERO,
            address: None,
            sent,
            received: counts.received,
            rtts,
            facts: std::mem::take(&mut seen.facts),
            failed_due_to_regex: wrong && matches!(module.expectation, Expectation::Pattern(_)),
            failed_due_to_bytes: wrong && matches!(module.expectation, Expectation::Hex(_)),
            dns: module.asks("dns").then_some(seen.sections),
            serial,
        }
    }
}

/// The verdict that most of the answers had which were not ok.
fn worst(verdicts: &Verdicts) -> Option<Verdict> {
    let others = Verdict::ALL.into_iter().filter(|verdict| *verdict != Verdict::Ok);
    others.filter(|it| verdicts.of(*it) > 0).max_by_key(|it| verdicts.of(*it))
}
