//! The pieces of a page: tables whose cells are text.

use std::time::Duration;

use udp_core::text::units::{Millis, OrDash};

use super::draw::{Text, put};

/// A table with a caption; the first cell of a row names it.
pub(super) fn table(
    out: &mut String,
    class: &str,
    caption: &str,
    head: &[&str],
    rows: &[Vec<String>],
) {
    put(
        out,
        format_args!(
            r#"<div class="x"><table class="{class}"><caption>{}</caption>"#,
            Text(caption)
        ),
    );
    if !head.is_empty() {
        out.push_str("<thead><tr>");
        head.iter().for_each(|it| put(out, format_args!(r#"<th scope="col">{}</th>"#, Text(it))));
        out.push_str("</tr></thead>");
    }
    out.push_str("<tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (n, cell) in row.iter().enumerate() {
            match n {
                0 => put(out, format_args!(r#"<th scope="row">{}</th>"#, Text(cell))),
                _ => put(out, format_args!("<td>{}</td>", Text(cell))),
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

/// One that is opened by whoever wants it.
pub(super) fn folded(out: &mut String, caption: &str, head: &[&str], rows: &[Vec<String>]) {
    put(out, format_args!("<details><summary>{}</summary>", Text(caption)));
    table(out, "data", caption, head, rows);
    out.push_str("</details>");
}

/// Names and values below each other.
pub(super) fn pairs(out: &mut String, class: &str, caption: &str, pairs: &[(&str, String)]) {
    let rows: Vec<Vec<String>> =
        pairs.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    table(out, class, caption, &[], &rows);
}

/// Milliseconds, or a dash.
pub(super) fn ms(span: Option<Duration>) -> String {
    OrDash(span.map(Millis)).to_string()
}

/// The same from nanoseconds.
pub(super) fn ns(nanos: Option<u64>) -> String {
    ms(nanos.map(Duration::from_nanos))
}

/// A share, or a dash.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or("-".into(), |share| format!("{share:.1}%"))
}
