//! Examples, signals, files and exit codes for `--help`.

/// What `--help` ends with.
pub(crate) const MORE: &str = "\
Values:
  TARGET  host, host:port, [v6]:port, :port; a port is a number or a service's name; or a
          service: dns://host/name?type=AAAA, ntp://host?stratum=3 (--services lists them);
          a host named report or compare: report:7000
  DUR     a number with ns us ms s m min h d; a bare number is seconds
  N       bytes may have K or M (x 1024)

Each beat ends in one class: sent = received + lost + failed + pending. Late and refused beats are
parts of lost, failed ones never left this host, pending ones were in flight at the end. The jitter
is that of RFC 3550, over round trips. A percentile that so few replies cannot support is \"-\".

States: unknown, up, degraded, down. --on-change finds in its environment UDP_STATE, UDP_PREVIOUS,
UDP_TARGET, UDP_ADDRESS, UDP_SINCE, UDP_DURATION (s), UDP_SENT, UDP_LOST, UDP_VERDICT, UDP_REASON.

Signals:
  INT, TERM  stop, print the summary, exit by its verdict; a later INT ends at once
  USR1       print a line for each target on stderr (QUIT, from a terminal, too)
  HUP        read --targets-file, --modules, --stamp-key-file, --web-config and secrets, and open
             --record again; without them, as TERM

Environment: RUST_LOG (wins over -v), NO_COLOR

Files: --targets-file, --modules, --stamp-key-file, --web-config, --record;
schema/heartbeat.schema.json describes --json, schema/recording.schema.json a recording

Exit codes:
  0  each target answered, every answer was ok, all thresholds held
  1  not so, or nothing was sent
  2  bad usage, a bad file, or a name that does not resolve
  3  refused, and nothing was ever answered
  4  a local failure: nothing ever left this host, an address in use, a file that cannot be read or written

Examples:
  udp-heartbeat 192.0.2.7 -i 0.2 -c 50 --number
  udp-heartbeat --targets-file hosts --live
  udp-heartbeat --targets-file hosts -q --record day.ndjson.gz
  udp-heartbeat report day.ndjson.gz -o day.html
  udp-heartbeat --targets-file hosts -q --on-change 'logger \"$UDP_TARGET is $UDP_STATE\"'
  udp-heartbeat dns://192.0.2.53/example.org?expect=192.0.2.7 'ntp://192.0.2.123?offset=50ms'
  udp-heartbeat --stamp 192.0.2.7 -c 100 -q --max-loss 1 --max-rtt p99=20ms
  udp-heartbeat 192.0.2.7:53 --payload-hex '1234 0100 0001 0000 0000 0000 00 0001 0001' --json";
