"""Holds `udp-heartbeat compare` against NumPy and SciPy, on links whose truth is known.

    compare.py UDP_HEARTBEAT DIRECTORY KIND

KIND is `independent` or how much of a deviation the next beat keeps (AR(1)), such as 0.9. UDP_LINKS is how many
links are compared (30).
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
from scipy import signal, stats

FIGURES = ("p50", "p90", "p99", "loss")
LINKS, BEATS = int(os.environ.get("UDP_LINKS", 30)), 600
program, directory, kind = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
random = np.random.default_rng(7000)
wrong = []


def holds(what, condition):
    print(("ok    " if condition else "WRONG ") + what)
    wrong.extend([] if condition else [what])


def link(scale=1.0, loss=0.02, beats=BEATS):
    """Round trips in nanoseconds, NaN where the beat is lost; whole, so that JSON loses nothing."""
    fading = 0.0 if kind == "independent" else float(kind)
    noise = random.normal(0, np.sqrt(1 - fading**2), beats + 200)
    wandering = signal.lfilter([1], [1, -fading], noise)[200:]
    spikes = np.where(random.random(beats) < 0.03, random.exponential(1.0, beats), 0)
    rtt = np.round(1e7 * scale * (1 + 0.1 * wandering + spikes).clip(0.2))
    lost = np.zeros(beats, bool)
    for n in range(1, beats):
        # Bursts of 2.5 on average, single ones where beats have nothing to do with each other.
        lost[n] = random.random() < (0.6 if lost[n - 1] and fading else loss * (0.4 if fading else 1.0))
    return np.where(lost, np.nan, rtt)


def record(name, links):
    """A recording of a target for each link."""
    path = directory / f"{name}.ndjson"
    options = {"interval_ns": 10**9, "timeout_ns": 10**9, "down_after": 3, "judged": False, "mode": "number",
               "percentile_digits": 3}
    time = "2026-05-04T{:02}:{:02}:{:02}.000000Z"
    with open(path, "w", encoding="utf-8") as file:
        write = lambda kind, **fields: file.write(json.dumps(
            {"type": kind, "v": 1, "ts": time.format(0, 0, 0), **fields}, separators=(",", ":")) + "\n")
        write("run", id=name, options=options, targets=[])
        for target, rtts in enumerate(links):
            for n, rtt in enumerate(rtts):
                lost = bool(np.isnan(rtt))
                write("beat", target=f"t{target}:1", seq=n + 1, sent=time.format(n // 3600, n // 60 % 60, n % 60),
                      **{"class": "lost" if lost else "received"}, refused=False,
                      rtt_ns=None if lost else int(rtt), verdict=None if lost else "ok", reason=None, flow=None)
    return path


def ask(*words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode > 1 or not done.stdout and words[0] == "compare":
        sys.exit(f"{words}: exit {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def figures(rtts):
    answered = rtts[~np.isnan(rtts)]
    percentiles = np.quantile(answered, (0.5, 0.9, 0.99), method="inverted_cdf")
    return np.append(percentiles, np.isnan(rtts).mean() * 100)


def block_length(rtts):
    """Carlstein's for the first-order process that fades as slowly as the sample does."""
    def fading(series):
        series, most = series - series.mean(), 0.0
        for lag in (1, 2, 4, 8, 16, 32, 64):
            square = (series**2).sum()
            left = (series[:-lag] * series[lag:]).sum() / square if square else 0.0
            if left <= 3 / np.sqrt(len(series)):
                break
            most = max(most, left ** (1 / lag))
        return most

    answered = rtts[~np.isnan(rtts)]
    most = min(max(fading(np.isnan(rtts) * 1.0), fading(stats.rankdata(answered, "dense"))), 0.995)
    length = (2 * most / (1 - most**2)) ** (2 / 3) * np.cbrt(1.5 * len(rtts))
    return int(max(np.ceil(length), np.ceil(np.cbrt(len(rtts)))))


def draws(rtts, count):
    """Figures of samples made of blocks that were drawn anew."""
    length, beats = block_length(rtts), len(rtts)
    starts = random.integers(0, beats - length + 1, (count, -(-beats // length)))
    places = (starts[:, :, None] + np.arange(length)).reshape(count, -1)[:, :beats]
    return np.array([figures(row) for row in rtts[places]])


def intervals(old, new, count=3000):
    """Around the change that was measured, by so much wider as few blocks lie too close together."""
    with np.errstate(divide="ignore", invalid="ignore"):
        changes, measured = [(b / a - 1) * 100 for a, b in
                             ((draws(old, count), draws(new, count)), (figures(old), figures(new)))]
    blocks = min(len(rtts) / block_length(rtts) for rtts in (old, new))
    wider = stats.t.ppf(0.975, blocks - 1) / stats.norm.ppf(0.975) / np.sqrt(1 - 1 / blocks)
    return (measured + (np.quantile(changes, (0.025, 0.975), axis=0) - measured) * wider).T, changes.std(axis=0)


def one_pair():
    """The figures to the nanosecond; the intervals up to what drawing itself leaves open."""
    old, new = link(loss=0.15), link(scale=1.1, loss=0.25)
    [said] = ask("compare", record("old", [old]), record("new", [new]), "--json")
    between, spread = intervals(old, new)
    for n, name in enumerate(FIGURES):
        values = [figures(old)[n], figures(new)[n], (figures(new)[n] / figures(old)[n] - 1) * 100]
        theirs = [said[name][it] for it in ("old", "new", "change_percent")]
        holds(f"{kind}: {name} is {values[0]:.6g} and {values[1]:.6g}", np.allclose(values, theirs, rtol=1e-12))
        # A bound at 2.5 % of N draws of a normal law is off by 2.67 / sqrt(N) of its deviation: ours of 1,000
        # and NumPy's of 3,000 by 0.1. Four times that, and half as much again, for the law is no normal one.
        theirs = [said[name]["low"], said[name]["high"]]
        off = np.abs(between[n] - theirs) / spread[n]
        holds(f"{kind}: {name} lies within {theirs[0]:+.1f} to {theirs[1]:+.1f} % (off by {off.max():.2f} deviations)",
              off.max() < 0.6)
    if kind == "independent":
        median = lambda a, b, axis=-1: (np.median(b, axis=axis) / np.median(a, axis=axis) - 1) * 100
        samples = [rtts[~np.isnan(rtts)] for rtts in (old, new)]
        plain = stats.bootstrap(samples, median, n_resamples=3000, method="percentile", rng=random)
        off = np.abs(np.array(plain.confidence_interval) - [said["p50"]["low"], said["p50"]["high"]])
        # Blocks are drawn where single beats would do.
        holds(f"independent: blocks say what SciPy's bootstrap does (off by {off.max() / plain.standard_error:.2f})",
              off.max() < plain.standard_error)


def many_pairs():
    """How often a link is worse than itself, how often a worse one is, and how often the truth lies between."""
    def compared(**change):
        paths = [record("old", [link() for _ in range(LINKS)]), record("new", [link(**change) for _ in range(LINKS)])]
        return ask("compare", *paths, "--json")

    said = compared()
    worse = sum(it["worse"] for it in said)
    holds(f"{kind}: {worse} of {len(said)} links are worse than themselves, at most 5 %",
          len(said) == LINKS and worse <= 0.05 * LINKS)
    # A link that remembers for too long gives too few blocks to judge by.
    said = [it for it in compared(scale=1.2, loss=0.2) if it["p50"]["verdict"] != "unknown"]
    holds(f"{kind}: {len(said)} of {LINKS} pairs can be judged", len(said) >= 0.8 * LINKS)
    for name, change in (("p50", "that take 20 % longer"), ("loss", "that lose 20 % instead of 2 %")):
        found = sum(it[name]["verdict"] == "worse" for it in said)
        holds(f"{kind}: {found} of {len(said)} are found {change}", found >= 0.95 * len(said))
    inside = sum(it["p50"]["low"] <= 20 <= it["p50"]["high"] for it in said)
    # 95 % up to what so few links leave open.
    chance = stats.binomtest(inside, len(said), 0.95, alternative="less").pvalue
    holds(f"{kind}: the truth lies within {inside} of {len(said)} intervals (p = {chance:.3f})", chance > 0.001)


def loss_bounds():
    """What a summary says of the loss, beside SciPy's Wilson interval."""
    out = directory / "summary.json"
    links = [link(loss=share, beats=beats) for share in (0, 0.01, 0.3, 1) for beats in (2, 50, 600)]
    ask("report", record("loss", links), "-o", out)
    for rtts, said in zip(links, map(json.loads, out.read_text(encoding="utf-8").splitlines())):
        lost = int(np.isnan(rtts).sum())
        wilson = stats.binomtest(lost, len(rtts)).proportion_ci(method="wilson")
        theirs = [said["loss_percent_low"], said["loss_percent_high"]]
        holds(f"{lost} of {len(rtts)} lost is {theirs[0]:.2f} to {theirs[1]:.2f} %",
              np.allclose(np.array(wilson) * 100, theirs, atol=1e-9))


one_pair()
many_pairs()
if kind == "independent":
    loss_bounds()
sys.exit(bool(wrong))
