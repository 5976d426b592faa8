//! A prober whose names resolve as the test says.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use udp_core::{Endpoint, Family, clock};

use super::prober::Prober;
use crate::plan::Plan;
use crate::probe::event::{Event, Observer, Regrouped};
use crate::probe::snapshot::Snapshot;
use crate::probe::targets::Listed;

/// Who is gone, and after how many beats.
#[derive(Clone, Default)]
struct Gone(Arc<Mutex<Vec<(String, u64)>>>);

impl Observer for Gone {
    fn observe(&mut self, _event: &Event<'_>) {}

    fn regrouped(&mut self, change: &Regrouped) {
        let gone = change.gone.iter().flat_map(|it| &it.targets);
        self.0.lock().unwrap().extend(gone.map(|it| (it.label.clone(), it.counts.sent)));
    }
}

/// Waits until the figures are so.
fn until(prober: &Prober, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let end = clock::mono() + Duration::from_secs(60);
    loop {
        let snapshot = prober.snapshot();
        if holds(&snapshot) {
            return snapshot;
        }
        assert!(clock::mono() < end, "it never came to hold: {:?}", labels(&snapshot));
        clock::sleep(Duration::from_millis(5));
    }
}

fn labels(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.targets.iter().map(|it| &*it.label).collect()
}

fn sent(snapshot: &Snapshot, label: &str) -> u64 {
    snapshot.targets.iter().find(|it| it.label == label).map_or(0, |it| it.counts.sent)
}

#[test]
fn each_address_of_a_name_is_a_target_and_a_resolver_that_hangs_holds_up_none() {
    let sink = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = sink.local_addr().unwrap().port();
    let zone = Arc::new(Mutex::new(vec![2, 1]));
    let resolver = zone.clone();
    let lookup = move |endpoint: &Endpoint, _: Family, _: u16| {
        let port = endpoint.port().unwrap();
        match &**resolver.lock().unwrap() {
            [] => Err("no such name".to_owned()),
            ips => Ok(ips.iter().map(|ip| SocketAddr::from(([127, 0, 0, *ip], port))).collect()),
        }
    };
    let name: Endpoint = format!("mesh.test:{port}").parse().unwrap();
    let label = |ip: u8| format!("mesh.test:{port}@127.0.0.{ip}");
    let gone = Gone::default();
    let plan = Plan::new([name.clone()]).every_address().interval(Duration::from_millis(20)).fast();
    let prober = Arc::new(Prober::resolved_by(lookup, plan, gone.clone()).unwrap());
    let running = thread::spawn({
        let prober = prober.clone();
        move || prober.run()
    });
    let reload = || {
        let listed = vec![Listed::bare(name.clone())];
        assert!(prober.caller().run(|engine| engine.take_targets(listed)));
    };
    let first = until(&prober, |it| sent(it, &label(1)) > 2);
    assert_eq!(labels(&first), [label(1), label(2)]);
    // The resolver hangs: the beats go on.
    let mut held = zone.lock().unwrap();
    reload();
    let kept = sent(&prober.snapshot(), &label(2));
    until(&prober, |it| sent(it, &label(2)) > kept + 5);
    // One goes, one comes, and one keeps its figures.
    *held = vec![3, 2];
    drop(held);
    let then = until(&prober, |it| labels(it) == [label(2), label(3)]);
    assert!(sent(&then, &label(2)) > kept + 5);
    until(&prober, |it| sent(it, &label(3)) > 2);
    // It resolves to nothing: all stay.
    zone.lock().unwrap().clear();
    reload();
    let now = prober.snapshot();
    let after = until(&prober, |it| sent(it, &label(3)) > sent(&now, &label(3)) + 5);
    assert_eq!(labels(&after), [label(2), label(3)]);
    prober.stop();
    let last = running.join().unwrap();
    assert_eq!(labels(&last), [label(2), label(3)]);
    let gone = gone.0.lock().unwrap();
    assert!(matches!(&gone[..], [(it, sent)] if *it == label(1) && *sent > 2), "{gone:?}");
}

#[test]
fn a_name_alone_that_does_not_resolve_is_no_run() {
    let lookup = |_: &Endpoint, _: Family, _: u16| Err("no such name".to_owned());
    let name: Endpoint = "mesh.test:7000".parse().unwrap();
    let plan = |endpoints| Plan::new(endpoints).every_address();
    let failed = Prober::resolved_by(lookup, plan(vec![name.clone()]), Gone::default());
    assert_eq!(failed.err().unwrap().to_string(), "error: no such name");
    // Beside another it is a target without an address.
    let lookup = |endpoint: &Endpoint, family: Family, port: u16| match endpoint.is_name() {
        true => Err("no such name".to_owned()),
        false => super::lookup::system(endpoint, family, port),
    };
    let two = plan(vec!["127.0.0.1:7000".parse().unwrap(), name]);
    let prober = Prober::resolved_by(lookup, two, Gone::default()).unwrap();
    assert_eq!(labels(&prober.snapshot()), ["127.0.0.1:7000", "mesh.test:7000"]);
}
