"""Computes the figures of a recording anew and holds those of its reports against them.

    recording.py RECORDING.ndjson REPORT.html REPORT.json REPORT.csv
"""

import csv
import html.parser
import json
import math
import sys


class Tables(html.parser.HTMLParser):
    """The tables of a page: their rows by caption."""

    def __init__(self):
        super().__init__()
        self.tables, self.cell, self.caption = {}, None, None

    def handle_starttag(self, tag, attributes):
        if tag in ("caption", "th", "td"):
            self.cell = ""
        elif tag == "tr":
            self.row = []

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag == "caption":
            self.caption = self.cell
            self.tables[self.caption] = []
        elif tag in ("th", "td"):
            self.row.append(self.cell)
        elif tag == "tr":
            self.tables[self.caption].append(self.row)
        if tag in ("caption", "th", "td"):
            self.cell = None


def nearest_rank(values, percent):
    """None where the sample cannot support it."""
    if len(values) < max(2, math.ceil(100 / (100 - percent))):
        return None
    return sorted(values)[math.ceil(percent * len(values) / 100) - 1]


def main(recording, page, summary, rows):
    lines = [json.loads(line) for line in open(recording, encoding="utf-8")]
    beats = [line for line in lines if line["type"] == "beat"]
    late = {line["seq"] for line in lines if line["type"] == "late"}
    of = lambda kind: [beat for beat in beats if beat["class"] == kind]
    received, lost = of("received"), of("lost")
    rtts = [beat["rtt_ns"] for beat in received]
    count = len(rtts)
    jitter, before = 0.0, None
    for rtt in rtts:
        if before is not None:
            jitter += (abs(rtt - before) - jitter) / 16
        before = rtt
    reordered, following = 0, 0
    for beat in received:
        reordered += beat["seq"] < following
        following = max(following, beat["seq"] + 1)
    variance = (count * sum(rtt * rtt for rtt in rtts) - sum(rtts) ** 2) / count**2
    runs, row = [], 0
    for beat in sorted(beats, key=lambda beat: beat["seq"]):
        answered = beat["class"] == "received"
        if answered and row:
            runs.append(row)
        row = 0 if answered else row + 1
    runs += [row] if row else []
    whole = rtts + [math.inf] * (len(lost) + len(of("failed")))
    finite = lambda value: None if value in (None, math.inf) else value
    expected = {
        "sent": len(beats),
        "received": count,
        "lost": len(lost),
        "failed": len(of("failed")),
        "pending": len(of("pending")),
        "late": len(late),
        "refused": sum(beat["refused"] for beat in lost),
        "duplicate": sum(beat.get("duplicate", 0) for beat in beats),
        "unsolicited": sum(beat.get("unsolicited", 0) for beat in beats),
        "reordered": reordered,
        "loss_percent": len(lost) / (count + len(lost)) * 100,
        "rtt_min_ns": min(rtts),
        "rtt_avg_ns": (sum(rtts) + count // 2) // count,
        "rtt_max_ns": max(rtts),
        "rtt_mdev_ns": round(math.sqrt(variance)),
        "jitter_ns": round(jitter),
        "loss_runs": len(runs),
        "longest_loss_run": max(runs, default=0),
    }
    for percent in (50, 90, 99):
        expected[f"rtt_p{percent}_ns"] = nearest_rank(rtts, percent)
        expected[f"rtt_p{percent}_with_loss_ns"] = finite(nearest_rank(whole, percent))
    wrong = []

    def same(what, mine, theirs):
        close = isinstance(mine, (int, float)) and isinstance(theirs, (int, float)) and abs(mine - theirs) <= 1
        if mine != theirs and not close:
            wrong.append(f"{what}: {mine!r}, not {theirs!r}")

    report = json.loads(open(summary, encoding="utf-8").read())
    for name, value in expected.items():
        same(name, value, report[name])
    tables = Tables()
    tables.feed(open(page, encoding="utf-8").read())
    cells = {row[0]: row[1:] for name in ("Beats", "Among them", "Round trips, ms") for row in tables.tables[name]}
    ms = lambda nanos: "-" if nanos is None else f"{nanos / 1e6:.3f}"
    for name in ("sent", "received", "lost", "failed", "pending", "late", "refused", "duplicate", "reordered"):
        same(f"page: {name}", str(expected[name]), cells[name][0])
    same("page: loss", f"{expected['loss_percent']:.1f}%", cells["loss"][0].split(" ")[0])
    for name in ("min", "avg", "max", "mdev"):
        same(f"page: {name}", ms(expected[f"rtt_{name}_ns"]), cells[name][0])
    for row in tables.tables["Percentiles, ms"][1:]:
        same(f"page: {row[0]}", ms(expected[f"rtt_{row[0]}_ns"]), row[1])
        same(f"page: {row[0]} with loss", ms(expected[f"rtt_{row[0]}_with_loss_ns"]), row[2])
    slices = tables.tables["Over time, as a table"][1:]
    same("page: sent in all slices", len(beats), sum(int(row[1]) for row in slices))
    same("page: lost in all slices", len(lost), sum(int(row[2]) for row in slices))
    bins = tables.tables["The histogram, as a table"][1:]
    same("page: replies in all bins", count, sum(int(row[2]) for row in bins))
    with open(rows, encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    plain = lambda value: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    ordered = sorted(beats, key=lambda beat: beat["seq"])
    same("rows", len(ordered), len(table))
    for beat, row in zip(ordered, table):
        beat = {**beat, "late": beat["seq"] in late}
        for name in row:
            same(f"row {beat['seq']}: {name}", plain(beat[name]), row[name])
    print("\n".join(wrong) if wrong else f"{len(beats)} beats, {count} received: every figure is right")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
