"""Computes every number of a report anew from the recording, and holds the report against it.

    recording.py REPORT.txt REPORT.html REPORT.json REPORT.csv RECORDING...
"""

import csv
import datetime
import html.parser
import json
import math
import re
import sys

VERDICTS = ("ok", "unexpected", "declined", "failing", "limited", "invalid")
MORE = ("refused", "failed", "pending", "unsolicited", "slots_skipped")
wrong, checked = [], 0


def same(what, mine, theirs, within=0):
    global checked
    checked += 1
    both = all(isinstance(it, (int, float)) and not isinstance(it, bool) for it in (mine, theirs))
    if mine != theirs and not (both and abs(mine - theirs) <= within):
        wrong.append(f"{what}: {mine!r}, not {theirs!r}")


def nanos(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


def clock(at):
    return datetime.datetime.fromtimestamp(at // 10**9, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def ms(value):
    return "-" if value is None else "{}.{:03}".format(*divmod((value + 500) // 1000, 1000))


def percent(part, whole):
    return f"{part / whole * 100:.1f}%" if whole else "-"


def rank(values, percent, needs=None):
    """By nearest rank; None where the sample cannot support it, or where the figure is beyond all."""
    needs = needs or max(2, math.ceil(100 / (100 - percent)))
    value = sorted(values)[math.ceil(percent * len(values) / 100) - 1] if len(values) >= needs else None
    return None if value == math.inf else value


def wilson(part, whole):
    z, share = 1.959963984540054, part / whole
    middle, spread = share + z * z / whole / 2, z * math.sqrt(share * (1 - share) / whole + (z / whole) ** 2 / 4)
    low, high = ((middle + it) / (1 + z * z / whole) * 100 for it in (-spread, spread))
    return (low if part else 0.0), (high if part < whole else 100.0)


class Target:
    def __init__(self, label):
        self.label, self.runs, self.states, self.state = label, [], [], "unknown"
        self.address, self.interval, self.jitter = None, None, None

    def run(self, name):
        if not self.runs or self.runs[-1]["id"] != name or self.runs[-1]["end"]:
            self.runs.append({"id": name, "beats": [], "end": None})
        return self.runs[-1]

    def of(self, kind):
        return [beat for beat in self.beats if beat["class"] == kind]

    def compute(self):
        """All figures, named as in JSON."""
        self.beats = [beat for run in self.runs for beat in run["beats"]]
        received, lost, failed = self.of("received"), self.of("lost"), self.of("failed")
        rtts = self.rtts = [beat["rtt_ns"] for beat in received]
        count, settled = len(rtts), len(received) + len(lost)
        it = self.figures = {
            "sent": len(self.beats), "received": count, "lost": len(lost), "failed": len(failed),
            "pending": len(self.of("pending")), "late": sum(beat["late"] for beat in self.beats),
            "refused": sum(beat["refused"] for beat in lost), "reordered": 0,
            "loss_runs": 0, "longest_loss_run": 0, "longest_outage_ns": 0, "outage_ns": 0,
            "verdicts": {name: sum(beat["verdict"] == name for beat in received) for name in VERDICTS},
        }
        it["verdicts"] = {name: n for name, n in it["verdicts"].items() if n or name == "ok"}
        reasons = {}
        for beat in received:
            reasons[beat["reason"]] = reasons.get(beat["reason"], 0) + (beat["reason"] is not None)
        it["reasons"] = {name: n for name, n in reasons.items() if n}
        ends = [run["end"] for run in self.runs if run["end"] and run["end"]["sent"] == len(run["beats"])]
        for name in ("duplicate", "unsolicited", "slots_skipped"):
            it[name] = sum(run["end"][name] if run["end"] in ends else sum(b.get(name, 0) for b in run["beats"])
                           for run in self.runs)
        self.outages = []
        for run in self.runs:
            following = 0
            for beat in run["beats"]:
                if beat["class"] == "received":
                    it["reordered"] += beat["seq"] < following
                    following = max(following, beat["seq"] + 1)
            row = []
            for beat in sorted((b for b in run["beats"] if b["class"] != "pending"), key=lambda b: b["seq"]) + [None]:
                if beat and beat["class"] != "received":
                    row.append(nanos(beat["sent"]))
                elif row:
                    until = nanos(beat["sent"]) if beat else None
                    lasted = (until or row[-1] + self.interval) - row[0]
                    it["loss_runs"] += 1
                    it["longest_loss_run"] = max(it["longest_loss_run"], len(row))
                    it["longest_outage_ns"] = max(it["longest_outage_ns"], lasted)
                    it["outage_ns"] += lasted
                    self.outages.append((row[0], until, len(row)))
                    row = []
        for run in self.runs:
            before = None
            for rtt in (beat["rtt_ns"] for beat in run["beats"] if beat["class"] == "received"):
                if before is not None:
                    self.jitter = (self.jitter or 0.0) + (abs(rtt - before) - (self.jitter or 0.0)) / 16
                before = rtt
        it["jitter_ns"] = None if self.jitter is None else math.floor(self.jitter + 0.5)
        it["loss_percent"] = len(lost) / settled * 100 if settled else None
        it["loss_percent_low"], it["loss_percent_high"] = wilson(len(lost), settled) if settled else (None, None)
        variance = (count * sum(rtt * rtt for rtt in rtts) - sum(rtts) ** 2) / count**2 if count else 0
        it["rtt_min_ns"], it["rtt_max_ns"] = min(rtts, default=None), max(rtts, default=None)
        it["rtt_avg_ns"] = (sum(rtts) + count // 2) // count if count else None
        it["rtt_mdev_ns"] = round(math.sqrt(variance)) if count else None
        whole = rtts + [math.inf] * (len(lost) + len(failed))
        for p in (50, 90, 99):
            it[f"rtt_p{p}_ns"] = rank(rtts, p)
            it[f"rtt_p{p}_with_loss_ns"] = rank(whole, p) if rtts else None
        self.stamp = next((end for end in ends if "reflector" in end), None)
        if self.stamp:
            totals = [beat["rtt_with_reflector_ns"] for beat in received]
            it |= {"rtt_with_reflector_min_ns": min(totals), "rtt_with_reflector_max_ns": max(totals),
                   "rtt_with_reflector_avg_ns": (sum(totals) + count // 2) // count}
            # What counters of the reflector tell, no beat does.
            it |= {name: end for name, end in self.stamp.items()
                   if re.match("delay_variation|lost_|reflector|unreadable", name)}
            same("a loss has one direction", len(lost),
                 sum(it[f"lost_{way}"] for way in ("forward", "return", "undetermined")))
        return it


class Recording:
    def __init__(self, paths):
        self.targets, self.ends, self.options, name = {}, {}, None, None
        self.unreadable = 0
        for line in (line for path in paths for line in open(path, encoding="utf-8")):
            try:
                line = json.loads(line)
            except ValueError:
                # A kill may cut the last one short.
                self.unreadable += 1
                continue
            label = line.get("target")
            of = self.targets.setdefault(label, Target(label)) if label else None
            if line["type"] == "run":
                self.options, name = line["options"], line["id"]
                for it in line["targets"]:
                    of = self.targets.setdefault(it["target"], Target(it["target"]))
                    of.address, of.interval = (it["address"], it["port"]), it["interval_ns"]
                    of.states.append((nanos(line["ts"]), it["state"]))
            elif line["type"] == "beat":
                of.run(name)["beats"].append(line)
            elif line["type"] == "late":
                next(b for b in of.run(name)["beats"] if b["seq"] == line["seq"])["late"] = True
            elif line["type"] == "state":
                of.states.append((nanos(line["since"]), line["state"]))
            elif line["type"] == "summary":
                self.ends[name] = line
                if of:
                    of.run(name)["end"] = line
        self.targets = list(self.targets.values())
        for it in self.targets:
            it.compute()
            it.figures["state"] = it.states[-1][1]
        drops = [end["kernel_drops"] for end in self.ends.values() if end["kernel_drops"] is not None]
        self.drops = sum(drops) if drops else None
        self.unsolicited = next((e["unsolicited_from"] for e in self.ends.values() if e["unsolicited_from"]), None)
        sent = [nanos(beat["sent"]) for it in self.targets for beat in it.beats]
        self.span = (min(sent), max(sent))


def text(recording):
    """The summary, as it has to be."""
    lines = []
    several = len(recording.targets) > 1
    rows = [("target", "sent", "recv", "lost", "loss%", "min/avg/max/mdev", "p50/p90/p99", "jitter", "state")]
    for target in recording.targets:
        it = target.figures
        settled = it["received"] + it["lost"]
        loss = percent(it["lost"], settled)
        counts = f"{it['sent']} sent, {it['received']} received, {it['lost']} lost ({loss}), {it['late']} late, "
        counts += f"{it['duplicate']} duplicate, {it['reordered']} reordered"
        counts += "".join(f", {it[name]} {name.replace('_', ' ')}" for name in MORE if it[name])
        moments = "/".join(ms(it[f"rtt_{name}_ns"]) for name in ("min", "avg", "max", "mdev"))
        percentiles = "/".join(ms(it[f"rtt_p{p}_ns"]) for p in (50, 90, 99))
        jitter = ms(it["jitter_ns"])
        if it["received"] == 0:
            moments = percentiles = "-"
        rows.append((target.label, it["sent"], it["received"], it["lost"], loss.rstrip("%"), moments, percentiles,
                     jitter, it["state"]))
        if several:
            continue
        lines += [f"--- {target.label} heartbeat statistics ---", counts]
        if recording.options["judged"] or "://" in target.label:
            lines.append("answers: " + ", ".join(f"{n} {name}" for name, n in it["verdicts"].items()))
        if it["received"]:
            lines += [f"rtt min/avg/max/mdev = {moments} ms", f"rtt p50/p90/p99 = {percentiles} ms, jitter {jitter} ms"]
        if target.stamp:
            lines.append("loss: " + ", ".join(f"{w} {it['lost_' + w]}" for w in ("forward", "return", "undetermined")))
            own = ms(it["rtt_with_reflector_avg_ns"] - it["rtt_avg_ns"])
            of = lambda way: "/".join(ms(it[f"delay_variation_{way}_p{p}_ns"]) for p in (50, 90, 99))
            lines.append(f"reflector time avg {own} ms (not in rtt)")
            lines.append(f"delay variation p50/p90/p99 = forward {of('forward')} ms, return {of('return')} ms")
    if several:
        widths = [max(len(str(row[n])) for row in rows) for n in range(9)]
        for row in rows:
            middle = "".join(f"  {cell!s:>{width}}" for cell, width in zip(row[1:8], widths[1:8]))
            lines.append(f"{row[0]:<{widths[0]}}{middle}  {row[8]}")
        total = {name: sum(it.figures[name] for it in recording.targets) for name in ("sent", "received", "lost")}
        states = ", ".join(f"{sum(it.figures['state'] == state for it in recording.targets)} {state}"
                           for state in ("up", "degraded", "down", "unknown"))
        lines.append(f"{len(recording.targets)} targets: {states}; {total['sent']} sent, {total['received']} received, "
                     f"{total['lost']} lost ({percent(total['lost'], total['received'] + total['lost'])})")
    if recording.unsolicited:
        lines.append(f"unsolicited: first from ('{recording.unsolicited['address']}', {recording.unsolicited['port']})")
    if recording.drops:
        lines.append(f"kernel drops: {recording.drops} (receive buffer full)")
    return lines


class Page(html.parser.HTMLParser):
    """The tables of a page by section and caption, and its paragraphs."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.paragraphs, self.open, self.section = {}, [], None, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag in ("caption", "th", "td", "p", "h2"):
            self.open = ""
        elif tag == "tr":
            self.row = []

    def handle_data(self, data):
        if self.open is not None:
            self.open += data

    def handle_endtag(self, tag):
        if tag == "h2":
            self.section = self.open
        elif tag == "p":
            self.paragraphs.append(self.open)
        elif tag == "caption":
            self.rows = self.tables[self.section, self.open] = []
        elif tag in ("th", "td"):
            self.row.append(self.open)
        elif tag == "tr":
            self.rows.append(self.row)
        if tag in ("caption", "th", "td", "p", "h2"):
            self.open = None

    def take(self, section, caption):
        return self.tables.pop((section, caption), None)


def slices(recording, target, count):
    """Each slice of time with its beats."""
    (begin, end), out = recording.span, [[] for _ in range(count)]
    length = max(end - begin, 1)
    for beat in target.beats:
        out[min((nanos(beat["sent"]) - begin) * count // (length + 1), count - 1)].append(beat)
    return [(begin + length * n // count, beats) for n, beats in enumerate(out)]


def expected_tables(recording, target):
    """The tables of a target's section, as they have to be."""
    it, settled = target.figures, target.figures["received"] + target.figures["lost"]
    bounds = " ({:.1f} to {:.1f}%)".format(it["loss_percent_low"], it["loss_percent_high"]) if settled else ""
    plain = lambda names: [[name, str(it[name.replace(" ", "_")])] for name in names]
    yield "Beats", plain(("sent", "received", "lost", "failed", "pending")) + [
        ["loss", percent(it["lost"], settled) + bounds]]
    yield "Among them", plain(("late", "refused", "duplicate", "reordered", "unsolicited", "slots skipped"))
    yield "Round trips, ms", [[name, ms(it[f"rtt_{name}_ns"])] for name in ("min", "avg", "max", "mdev")] + [
        ["jitter", ms(it["jitter_ns"])], ["state", it["state"]]]
    yield "Percentiles, ms", [["", "of the replies", "lost as ∞"]] + [
        [f"p{p}", ms(it[f"rtt_p{p}_ns"]), ms(it[f"rtt_p{p}_with_loss_ns"])] for p in (50, 90, 99)]
    rows = [["from", "sent", "lost", "loss", "min ms", "p50 ms", "p90 ms", "max ms"]]
    for begin, beats in slices(recording, target, min(max(len(target.beats) // 8, 1), 24)):
        rtts = [beat["rtt_ns"] for beat in beats if beat["class"] == "received"]
        lost = sum(beat["class"] == "lost" for beat in beats)
        ends = (ms(min(rtts, default=None)), ms(max(rtts, default=None)))
        rows.append([clock(begin), str(len(beats)), str(lost), percent(lost, len(rtts) + lost), ends[0],
                     ms(rank(rtts, 50)), ms(rank(rtts, 90, 10)), ends[1]])
    yield "Over time, as a table", rows
    if target.rtts:
        least, ratio, count = min(target.rtts), max(max(target.rtts) / min(target.rtts), 1.000001), 12
        bins = [0] * count
        for rtt in target.rtts:
            bins[min(int(math.log(rtt / least) / math.log(ratio) * count), count - 1)] += 1
        bound = lambda n: ms(int(least * ratio ** (n / count)) if n else least)
        yield "The histogram, as a table", [["from ms", "to ms", "replies"]] + [
            [bound(n), bound(n + 1), str(replies)] for n, replies in enumerate(bins)]
    outages = [it for it in target.outages if it[2] >= recording.options["down_after"]]
    if outages:
        lasted = lambda since, until: "to the end" if until is None else f"{(until - since) / 1e9:.3f} s"
        caption = f"Outages: {recording.options['down_after']} or more beats in a row that were not answered"
        yield caption, [["since", "lasted", "beats"]] + [
            [clock(since), lasted(since, until), str(beats)] for since, until, beats in outages]
    if len(target.states) > 1:
        yield "States", [["since", "state"]] + [[clock(since), state] for since, state in target.states]
    reasons = {}
    for beat in target.beats:
        if beat["reason"] is not None:
            reasons[beat["reason"]] = reasons.get(beat["reason"], 0) + 1
    if reasons:
        yield "Reasons", [["reason", "beats"]] + [[name, str(reasons[name])] for name in sorted(reasons)]
    if target.stamp:
        variation = lambda way: [ms(it[f"delay_variation_{way}_p{p}_ns"]) for p in (50, 90, 99)]
        yield "Loss and delay variation by direction", [
            ["direction", "lost", "variation p50 ms", "p90 ms", "p99 ms"],
            *([way, str(it[f"lost_{way}"]), *variation(way)] for way in ("forward", "return")),
            ["undetermined", str(it["lost_undetermined"]), "-", "-", "-"]]
    ports = sorted({beat["flow"] for beat in target.beats} - {None})
    if ports:
        rows = [["port", "sent", "received", "lost", "p50 ms"]]
        for port in ports:
            of = [beat for beat in target.beats if beat["flow"] == port]
            rtts = [beat["rtt_ns"] for beat in of if beat["class"] == "received"]
            lost = sum(beat["class"] == "lost" for beat in of)
            rows.append([str(port), str(len(of)), str(len(rtts)), str(lost), ms(rank(rtts, 50))])
        yield "By source port", rows
    if sum(it["verdicts"].values()) > it["verdicts"]["ok"]:
        yield "What the answers said", [["verdict", "answers"]] + [
            [name, str(count)] for name, count in it["verdicts"].items()]


def check_page(recording, page):
    if len(recording.targets) > 1:
        rows = [["target", "sent", "received", "lost", "loss", "p50 ms", "p90 ms", "p99 ms", "jitter ms", "state"]]
        for target in recording.targets:
            it = target.figures
            rows.append([target.label, *(str(it[name]) for name in ("sent", "received", "lost")),
                         percent(it["lost"], it["received"] + it["lost"]),
                         *(ms(it[f"rtt_p{p}_ns"]) for p in (50, 90, 99)), ms(it["jitter_ns"]), it["state"]])
        same("page: all targets", rows, page.take("All targets", "Figures of each target"))
    for target in recording.targets:
        for caption, rows in expected_tables(recording, target):
            found = page.take(target.label, caption) or []
            for mine, theirs in zip(rows, found):
                same(f"page: {target.label}: {caption}", mine, theirs)
            same(f"page: {target.label}: {caption}: rows", len(rows), len(found))
        if target.stamp:
            own = ms(target.figures["rtt_with_reflector_avg_ns"])
            same("page: the reflector's time", True,
                 f"Round trip with the reflector's own time: avg {own} ms." in page.paragraphs)
    # A table that nobody expects has numbers that nobody has checked.
    same("page: other tables", {}, page.tables)
    begin, end = map(clock, recording.span)
    runs = len({run["id"] for target in recording.targets for run in target.runs})
    head = f"{begin} to {end} (UTC), {'one run' if runs == 1 else f'{runs} runs'}; a beat each "
    same("page: its head", head, page.paragraphs[0][: len(head)])
    same("page: unreadable lines", bool(recording.unreadable),
         f"Lines of the recording that are unreadable: {recording.unreadable}." in page.paragraphs)
    same("page: kernel drops", bool(recording.drops),
         f"Kernel drops: {recording.drops} (receive buffer full)." in page.paragraphs)


def main(summary, page, objects, rows, *recordings):
    recording = Recording(recordings)
    shown = open(summary, encoding="utf-8").read().splitlines()
    for mine, theirs in zip(text(recording) + [None], shown + [None]):
        same("text", mine, theirs)
    reports = [json.loads(line) for line in open(objects, encoding="utf-8")]
    same("objects", [it.label for it in recording.targets], [it["target"] for it in reports])
    only = next(iter(recording.ends.values())) if len(recording.ends) == 1 else {}
    for target, report in zip(recording.targets, reports):
        whole = {name: only.get(name) for name in ("send_lag_p50_ns", "send_lag_p99_ns", "send_lag_max_ns")}
        whole |= {"kernel_drops": recording.drops, "unsolicited_from": recording.unsolicited}
        address, port = target.address
        whole |= {"type": "summary", "v": 1, "target": target.label, "address": address, "port": port}
        for name, theirs in report.items():
            if name not in ("ts", "failed_checks", "labels"):
                # Times of sending are recorded to the microsecond.
                within = 3000 * len(target.outages) if "outage" in name else 1
                same(f"{target.label}: {name}", {**target.figures, **whole}.get(name, "unknown"), theirs, within)
    check_page(recording, Page(open(page, encoding="utf-8").read()))
    with open(rows, encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    plain = lambda value: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    ordered = [beat for target in recording.targets for run in target.runs
               for beat in sorted(run["beats"], key=lambda beat: beat["seq"])]
    same("rows", len(ordered), len(table))
    for beat, row in zip(ordered, table):
        same(f"row {beat['seq']}", {name: plain(beat[name]) for name in row}, row)
    print("\n".join(wrong[:20]) if wrong else f"{len(ordered)} beats, {checked} comparisons: every figure is right")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
