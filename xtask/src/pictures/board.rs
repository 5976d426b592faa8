//! The Grafana board, drawn without Grafana: each panel where it stands, with what its own expressions return.
//! Pure: whom it asks is an argument. A panel that nothing is returned for is an error.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// A square of the board's grid, which has 24 columns, and what stands above it, in the units of the picture.
const COLUMN: f64 = 42.0;
const ROW: f64 = 30.0;
const HEAD: f64 = 34.0;
/// Where a panel's plot begins below its upper edge.
const TOP: f64 = 40.0;
/// No character of a name is wider on the average, whatever the font.
const CHARACTER: f64 = 6.7;
const COLORS: [&str; 8] =
    ["#0072b2", "#d55e00", "#008060", "#a0449a", "#7a5c1e", "#c2185b", "#4b5563", "#5b5bd6"];
const SHADES: [&str; 5] = ["#d6e6fb", "#a9cbf5", "#6aa5ec", "#2f6cba", "#0a3069"];
const GRID: &str = "#e1e6eb";
const STYLE: &str = "text{fill:#1f2328}.n{font-size:11px}.b{font-weight:600}.v{font-size:28px}.m{text-anchor:middle}\
                     .e{text-anchor:end}path{fill:none;stroke-width:1.5;stroke-linecap:round}";

/// What is shown: seconds since 1970, from and to, and between two points.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) step: f64,
}

/// Two numbers that belong together, such as x and y.
type Point = (f64, f64);

/// What its legend says, and its values by time.
struct Series {
    name: String,
    points: Vec<Point>,
}

impl Series {
    fn at(&self, time: f64) -> Option<f64> {
        self.points.iter().find(|it| it.0 == time).map(|it| it.1)
    }
}

/// What is drawn so far, in SVG.
#[derive(Default)]
struct Canvas(String);

impl Canvas {
    fn text(&mut self, (x, y): Point, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.0 += &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>\n");
    }

    fn rect(&mut self, (x, y): Point, (w, h): Point, fill: &str) {
        self.0 += &format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{fill}\"/>\n"
        );
    }

    fn path(&mut self, path: &str, stroke: &str) {
        self.0 += &format!("<path d=\"{path}\" stroke=\"{stroke}\"/>\n");
    }
}

/// Draws a board from what `ask` answers for each expression: the result of a range query.
pub(super) fn draw(
    board: &Value,
    span: Span,
    ask: impl Fn(&str) -> Result<Value>,
) -> Result<String> {
    // What Grafana takes where its interval is that of the scrapes.
    let rate = format!("{}s", 4.0 * span.step);
    let (mut to, mut bottom) = (Canvas::default(), 0.0_f64);
    for panel in board["panels"].as_array().context("no panels")? {
        let title = panel["title"].as_str().context("no title")?;
        let place = |name: &str| panel["gridPos"][name].as_f64().context("no place");
        let (x, y) = (place("x")? * COLUMN + 4.0, place("y")? * ROW + HEAD);
        let (w, h) = (place("w")? * COLUMN - 8.0, place("h")? * ROW - 8.0);
        bottom = bottom.max(y + h);
        let mut series = Vec::new();
        for target in panel["targets"].as_array().context("no targets")? {
            let expression = target["expr"].as_str().context("no expression")?;
            let expression = expression.replace("$site", ".*").replace("$target", ".*");
            let answer = ask(&expression.replace("$__rate_interval", &rate))?;
            let form = target["legendFormat"].as_str().unwrap_or_default();
            series.extend(answer.as_array().context("no result")?.iter().map(|it| read(form, it)));
        }
        ensure!(series.iter().any(|it| !it.points.is_empty()), "{title}: nothing to show");
        let defaults = &panel["fieldConfig"]["defaults"];
        let unit = defaults["unit"].as_str().unwrap_or_default();
        to.0 += &format!("<g transform=\"translate({x} {y})\">\n");
        to.rect((0.0, 0.0), (w, h), "#fff");
        to.text((12.0, 22.0), "b", title);
        let it = Panel { w, h, span, unit, series };
        match panel["type"].as_str() {
            Some("stat") => it.stat(&mut to),
            Some("timeseries") => it.lines(&mut to),
            Some("state-timeline") => it.states(&mut to, &defaults["mappings"][0]["options"])?,
            Some("heatmap") => it.heat(&mut to)?,
            kind => bail!("{title}: a panel of the kind {kind:?}"),
        }
        to.0 += "</g>\n";
    }
    let (width, height, title) = (24.0 * COLUMN, bottom + 28.0, board["title"].as_str());
    to.text((8.0, 23.0), "b", title.context("no title")?);
    to.text((width - 8.0, 23.0), "n e", &format!("{} to {} UTC", clock(span.from), clock(span.to)));
    let note = "Layout and expressions of the board with what Prometheus returned for them, drawn by cargo xtask \
                pictures. Not a screenshot of Grafana.";
    to.text((8.0, height - 10.0), "n", note);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"system-ui,sans-serif\" font-size=\"13\">\n<title>The Grafana board</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#eaeef2\"/>\n{}</svg>\n",
        to.0
    ))
}

/// One series of an answer. What is no number (0/0) is no point.
fn read(form: &str, one: &Value) -> Series {
    let mut name = form.to_owned();
    for (label, value) in one["metric"].as_object().into_iter().flatten() {
        name = name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default());
    }
    let point = |it: &Value| Some((it[0].as_f64()?, it[1].as_str()?.parse::<f64>().ok()?));
    let points = one["values"].as_array().into_iter().flatten().filter_map(point);
    Series { name, points: points.filter(|it| it.1.is_finite()).collect() }
}

/// The colour and the text of a value.
fn word(mapping: &Value) -> Option<(&str, &str)> {
    Some((mapping["color"].as_str()?, mapping["text"].as_str()?))
}

/// The time of day.
fn clock(time: f64) -> String {
    let seconds = time as u64 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A value in one of Grafana's units, to three digits.
fn shown(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "percentunit" => (value * 100.0, "%"),
        "pps" => (value, " p/s"),
        "s" if value >= 1.0 || value == 0.0 => (value, " s"),
        "s" if value >= 0.001 => (value * 1e3, " ms"),
        "s" => (value * 1e6, " µs"),
        _ => (value, ""),
    };
    let digits = (2.0 - value.abs().max(1e-3).log10().floor()).max(0.0) as usize;
    let text = format!("{value:.digits$}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{unit}", if text.contains('.') { short } else { &text })
}

/// Where the values of a panel are drawn.
struct Plot {
    left: f64,
    wide: f64,
    tall: f64,
    span: Span,
}

impl Plot {
    /// A time, and a part of the height from below.
    fn at(&self, time: f64, part: f64) -> Point {
        let along = (time - self.span.from) / (self.span.to - self.span.from);
        (self.left + along * self.wide, TOP + (1.0 - part) * self.tall)
    }

    /// From a time and a part of the height to others.
    fn fill(&self, to: &mut Canvas, (from, low): Point, (until, high): Point, fill: &str) {
        let ((left, top), (right, bottom)) = (self.at(from, high), self.at(until, low));
        to.rect((left, top), (right - left, bottom - top), fill);
    }
}

/// A panel and what it shows.
struct Panel<'a> {
    w: f64,
    h: f64,
    span: Span,
    unit: &'a str,
    series: Vec<Series>,
}

impl Panel<'_> {
    /// The newest value of each, large.
    fn stat(&self, to: &mut Canvas) {
        let part = self.w / self.series.len() as f64;
        for (n, it) in self.series.iter().enumerate() {
            let x = (n as f64 + 0.5) * part;
            let value = it.points.last().map_or("-".to_owned(), |it| shown(it.1, self.unit));
            to.text((x, 68.0), "m v", &value);
            to.text((x, 94.0), "m", &it.name);
        }
    }

    /// What is around values: below, names beside their colours in as many rows as they take, and minutes above
    /// them; left, labels at parts of the height.
    fn around(&self, to: &mut Canvas, names: &[(&str, &str)], labels: &[(f64, String)]) -> Plot {
        let wide = |name: &str| 20.0 + CHARACTER * name.chars().count() as f64;
        let (mut x, mut y, mut places) = (12.0, 0.0, Vec::new());
        for (color, name) in names {
            if x > 12.0 && x + wide(name) > self.w {
                (x, y) = (12.0, y + 15.0);
            }
            places.push((x, y, color, name));
            x += wide(name) + 6.0;
        }
        let first = self.h - 10.0 - y;
        for (x, y, color, name) in places {
            to.rect((x, first + y - 6.0), (12.0, 4.0), color);
            to.text((x + 16.0, first + y), "n", name);
        }
        let left = labels.iter().map(|it| wide(&it.1)).fold(0.0, f64::max);
        let (wide, tall) = (self.w - left - 16.0, first - 40.0 - TOP);
        let plot = Plot { left, wide, tall, span: self.span };
        for (part, label) in labels {
            let (x, y) = plot.at(self.span.from, *part);
            to.path(&format!("M{x:.1} {y:.1}h{wide:.1}"), GRID);
            to.text((x - 6.0, y + 4.0), "n e", label);
        }
        for minute in (self.span.from / 60.0).ceil() as u64..=(self.span.to / 60.0) as u64 {
            let (x, y) = plot.at(minute as f64 * 60.0, 0.0);
            to.path(&format!("M{x:.1} {y:.1}v-{tall:.1}"), GRID);
            to.text((x, y + 16.0), "n m", &clock(minute as f64 * 60.0)[..5]);
        }
        plot
    }

    /// Lines, which end where a value is missing.
    fn lines(&self, to: &mut Canvas) {
        let most = self.series.iter().flat_map(|it| &it.points).map(|it| it.1).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let ten = 10_f64.powf((most / 4.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|it| it * ten);
        let step = steps.into_iter().find(|it| it * 4.0 >= most).unwrap_or(most);
        let count = (most / step).ceil();
        let label = |n: u32| (f64::from(n) / count, shown(f64::from(n) * step, self.unit));
        let labels: Vec<_> = (0..=count as u32).map(label).collect();
        let names = self.series.iter().map(|it| it.name.as_str());
        let names: Vec<_> = COLORS.into_iter().cycle().zip(names).collect();
        let plot = self.around(to, &names, &labels);
        for (it, (color, _)) in self.series.iter().zip(names) {
            let (mut path, mut before) = (String::new(), f64::NEG_INFINITY);
            for (time, value) in &it.points {
                let (x, y) = plot.at(*time, value / step / count);
                let gap = time - before > 1.5 * self.span.step;
                path += &if gap { format!("M{x:.1} {y:.1}h0") } else { format!("L{x:.1} {y:.1}") };
                before = *time;
            }
            to.path(&path, color);
        }
    }

    /// A row a series, in the colours and words that the board has for its values.
    fn states(&self, to: &mut Canvas, words: &Value) -> Result<()> {
        let words = words.as_object().context("no words for states")?;
        let names: Vec<_> = words.values().filter_map(word).collect();
        let row = 1.0 / self.series.len() as f64;
        let label = |(n, it): (usize, &Series)| (1.0 - (n as f64 + 0.5) * row, it.name.clone());
        let labels: Vec<_> = self.series.iter().enumerate().map(label).collect();
        let plot = self.around(to, &names, &labels);
        for (it, (middle, _)) in self.series.iter().zip(labels) {
            let near = |one: f64, next: f64| next - one < 1.5 * self.span.step;
            for run in it.points.chunk_by(|a, b| a.1 == b.1 && near(a.0, b.0)) {
                let (from, value) = run[0];
                let until = (run[run.len() - 1].0 + self.span.step).min(self.span.to);
                let found = words.get(&value.to_string()).and_then(word);
                let (color, word) = found.with_context(|| format!("no word for {value}"))?;
                let half = 0.4 * row;
                plot.fill(to, (from, middle - half), (until, middle + half), color);
                let (x, y) = plot.at(from.midpoint(until), middle);
                if 2.0 * (x - plot.at(from, 0.0).0) > CHARACTER * word.len() as f64 {
                    to.text((x, y + 4.0), "n m", word);
                }
            }
        }
        Ok(())
    }

    /// Buckets over time, the darker the more. The count of a bucket holds those of all below.
    fn heat(&self, to: &mut Canvas) -> Result<()> {
        let mut buckets = Vec::new();
        for it in &self.series {
            buckets.push((it.name.parse::<f64>().context("a bucket without a bound")?, it));
        }
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut cells = Vec::new();
        for (n, (_, it)) in buckets.iter().enumerate() {
            for (time, count) in &it.points {
                let below = n.checked_sub(1).and_then(|n| buckets[n].1.at(*time)).unwrap_or(0.0);
                cells.push((n, *time, count - below));
            }
        }
        cells.retain(|it| it.2 > 0.01);
        let rows = || cells.iter().map(|it| it.0);
        let (low, high) = rows().min().zip(rows().max()).context("empty buckets")?;
        let row = 1.0 / (high - low + 1) as f64;
        let label = |n: usize| ((n - low + 1) as f64 * row, shown(buckets[n].0, self.unit));
        let labels: Vec<_> = (low..=high).map(label).collect();
        let shade = cells.iter().map(|it| it.2).fold(0.0, f64::max) / SHADES.len() as f64;
        let counts: Vec<_> =
            (1..=SHADES.len()).map(|n| format!("≤ {:.0}", n as f64 * shade)).collect();
        let names: Vec<_> = SHADES.into_iter().zip(counts.iter().map(String::as_str)).collect();
        let plot = self.around(to, &names, &labels);
        for (n, time, count) in cells {
            let from = (time - self.span.step).max(self.span.from);
            let color = SHADES[((count / shade).ceil() as usize).clamp(1, SHADES.len()) - 1];
            let part = (n - low) as f64 * row;
            plot.fill(to, (from, part), (time, part + row), color);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_have_their_units() {
        for (value, unit, text) in [
            (0.0, "s", "0 s"),
            (0.000_061, "s", "61 µs"),
            (0.0435, "s", "43.5 ms"),
            (16.0, "s", "16 s"),
            (0.2187, "percentunit", "21.9%"),
            (3.0 * 0.2, "percentunit", "60%"),
            (4.9967, "pps", "5 p/s"),
            (1200.0, "pps", "1200 p/s"),
            (3.0, "short", "3"),
        ] {
            assert_eq!(shown(value, unit), text);
        }
    }

    /// What a panel of this kind, 1000 by 232, has drawn of series, each as its name and points.
    fn drawn(kind: &str, unit: &str, series: &[(&str, Value)]) -> Result<String> {
        let words =
            json!({"1": {"text": "up", "color": "green"}, "3": {"text": "down", "color": "red"}});
        let board = json!({"title": "board", "panels": [{
            "title": "panel",
            "type": kind,
            "gridPos": {"x": 0, "y": 0, "w": 24, "h": 8},
            "fieldConfig": {"defaults": {"unit": unit, "mappings": [{"options": words}]}},
            "targets": [{"expr": "rate(x{site=~\"$site\"}[$__rate_interval])", "legendFormat": "{{a}}"}],
        }]});
        let span = Span { from: 60.0, to: 300.0, step: 60.0 };
        draw(&board, span, |expression| {
            assert_eq!(expression, "rate(x{site=~\".*\"}[240s])");
            Ok(series
                .iter()
                .map(|(a, values)| json!({"metric": {"a": a}, "values": values}))
                .collect())
        })
    }

    #[test]
    fn a_panel_shows_what_was_returned() {
        let seconds = json!([[60, "0.01"], [240, "0.0435"], [300, "NaN"]]);
        let shares = json!([[60, "0"], [120, "0.25"], [240, "0.5"]]);
        let states = json!([[60, "1"], [120, "1"], [180, "3"], [240, "1"]]);
        let heat = |low, high, all| {
            [
                ("0.002", json!([[120, high]])),
                ("+Inf", json!([[120, all]])),
                ("0.001", json!([[120, low]])),
            ]
        };
        for (kind, unit, series, pieces) in [
            (
                "stat",
                "s",
                &[("ams", seconds)][..],
                &[r#"class="m v">43.5 ms<"#, r#"class="m">ams<"#][..],
            ),
            (
                "timeseries",
                "percentunit",
                &[("a<b", shares)],
                // From 0 % at 182 to 60 % at 40; minutes are 943.9 / 4 apart. A missing value is a gap.
                &[
                    r##"<path d="M40.1 182.0h0L276.1 122.8M748.0 63.7h0" stroke="#0072b2"/>"##,
                    r#"x="34.1" y="44.0" class="n e">60%<"#,
                    r#"x="34.1" y="186.0" class="n e">0%<"#,
                    r#"x="276.1" y="198.0" class="n m">00:02<"#,
                    ">a&lt;b<",
                ],
            ),
            (
                "state-timeline",
                "",
                &[("h", states)],
                &[
                    r#"<rect x="26.7" y="54.2" width="478.6" height="113.6" fill="green"/>"#,
                    r#"<rect x="505.3" y="54.2" width="239.3" height="113.6" fill="red"/>"#,
                    r#"class="n m">down<"#,
                    r#"class="n m">up<"#,
                ],
            ),
            (
                "heatmap",
                "s",
                &heat("10", "30", "30"),
                // Ten up to 1 ms and twenty more up to 2 ms.
                &[
                    r##"<rect x="46.8" y="111.0" width="234.3" height="71.0" fill="#6aa5ec"/>"##,
                    r##"<rect x="46.8" y="40.0" width="234.3" height="71.0" fill="#0a3069"/>"##,
                    r#"y="44.0" class="n e">2 ms<"#,
                    "≤ 20<",
                ],
            ),
        ] {
            let picture = drawn(kind, unit, series).expect("a picture");
            for piece in pieces {
                assert!(picture.contains(piece), "{kind}: no {piece} in {picture}");
            }
        }
    }

    #[test]
    fn a_panel_without_data_or_of_another_kind_is_an_error() {
        let empty = json!([[60, "NaN"]]);
        assert!(drawn("stat", "s", &[("a", empty)]).is_err());
        assert!(drawn("stat", "s", &[]).is_err());
        assert!(drawn("piechart", "s", &[("a", json!([[60, "1"]]))]).is_err());
        let unknown = json!([[60, "7"]]);
        assert!(drawn("state-timeline", "", &[("a", unknown)]).is_err());
    }

    /// So that nobody changes the board and leaves the picture of the old one.
    #[test]
    fn the_picture_in_the_documentation_is_of_this_board() -> Result<()> {
        let board = include_str!("../../../packaging/grafana/udp-toolkit.json");
        let picture = include_str!("../../../docs/pictures/board.svg");
        let board: Value = serde_json::from_str(board)?;
        let panels = board["panels"].as_array().context("no panels")?.iter();
        let titles: Vec<_> = panels.filter_map(|it| it["title"].as_str()).collect();
        let drawn = picture.split("class=\"b\">").skip(1).filter_map(|it| it.split('<').next());
        // The last is the title of all.
        assert_eq!(drawn.collect::<Vec<_>>(), [&titles[..], &["UDP paths"]].concat());
        Ok(())
    }
}
