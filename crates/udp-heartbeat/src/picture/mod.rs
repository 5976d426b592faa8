//! Pictures of recordings: one SVG, or a page that needs nothing else. Nothing here opens a file.
//!
//! Whatever came from a stranger or a file is text in them, never markup.

mod draw;
mod histogram;
mod html;
mod latency;
mod page;
mod sections;
mod series;
mod style;

use draw::{At, fitting, put, words};
pub(crate) use html::page;
use series::Span;

use crate::recorded::Recorded;

/// Above each target's picture.
const TITLE: f64 = 26.0;

/// The picture of all targets, one below the other.
pub(crate) fn svg(all: &Recorded) -> String {
    let span = Span::of(all.targets.iter()).unwrap_or(Span { from: 0, to: 1 });
    let each = TITLE + latency::HEIGHT;
    let height = each * all.targets.len().max(1) as f64;
    let mut out = String::new();
    let what =
        "Round trips over time as bands of percentiles, lost beats as bars below, and the states.";
    open(&mut out, height, "UDP heartbeat", what, true);
    for (n, target) in all.targets.iter().enumerate() {
        let y = each * n as f64;
        let label = fitting(&target.label, latency::WIDTH - latency::LEFT - latency::RIGHT);
        words(&mut out, "t", "start", (latency::LEFT, y + 18.0), &label);
        latency::draw(&mut out, target, span, y + TITLE);
    }
    out.push_str("</svg>\n");
    out
}

/// Begins a picture; one by itself has its rules and its ground.
fn open(out: &mut String, height: f64, title: &str, description: &str, alone: bool) {
    let (w, h) = (At(latency::WIDTH), At(height));
    put(
        out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" font-family="system-ui,sans-serif" font-size="12"><title>{}</title><desc>{}</desc>"#,
            draw::Text(title),
            draw::Text(description)
        ),
    );
    if alone {
        let colors = style::COLORS;
        put(
            out,
            format_args!(r#"<style>{colors}</style><rect class="bg" width="{w}" height="{h}"/>"#),
        );
    }
}
