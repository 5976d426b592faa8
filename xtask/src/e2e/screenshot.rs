//! What a browser shows of a page: taken by chromium, decoded here, and looked at for being blank or cut off.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use flate2::read::ZlibDecoder;

use super::process::Launch;
use super::skip::skip;

/// Pixels in rows from above.
pub(crate) struct Screenshot {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pixels: Vec<[u8; 3]>,
}

/// A browser that asks nobody anything; a skip where it is missing.
pub(crate) fn browser(home: &Path) -> Result<Launch> {
    let there = Launch::new("chromium").arg("--version").finish();
    if there.and_then(|it| it.exits(0).map(drop)).is_err() {
        return skip("chromium is missing");
    }
    Ok(Launch::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--hide-scrollbars", "--force-device-scale-factor=1"])
        .arg(format!("--user-data-dir={}", home.join("browser").display())))
}

impl Screenshot {
    /// Opens `page`, a file, in a window of this size.
    pub(crate) fn take(page: &Path, (width, height): (usize, usize), dark: bool) -> Result<Self> {
        let home = page.parent().context("a page without a directory")?;
        let out = page.with_extension("png");
        let browser = browser(home)?
            .arg(format!("--screenshot={}", out.display()))
            .arg(format!("--window-size={width},{height}"))
            .args(dark.then_some("--force-dark-mode"))
            .arg(format!("file://{}", page.display()));
        browser.finish()?.exits(0)?;
        let shot = decode(&fs::read(&out).context("no picture")?)?;
        if (shot.width, shot.height) != (width, height) {
            bail!("a picture of {} × {}, not {width} × {height}", shot.width, shot.height);
        }
        Ok(shot)
    }

    /// The colour of the corner.
    pub(crate) fn ground(&self) -> [u8; 3] {
        self.pixels[0]
    }

    /// Pixels of other colours within columns and rows.
    pub(crate) fn ink(
        &self,
        columns: std::ops::Range<usize>,
        rows: std::ops::Range<usize>,
    ) -> usize {
        let row = |y: usize| &self.pixels[y * self.width..][columns.clone()];
        rows.flat_map(row).filter(|pixel| **pixel != self.ground()).count()
    }
}

/// A PNG as chromium writes it: eight bits, red, green, blue and perhaps how opaque, in one pass.
fn decode(png: &[u8]) -> Result<Screenshot> {
    let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n").context("no PNG")?;
    let (mut header, mut packed) = (Vec::new(), Vec::new());
    while let Some((length, more)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (kind, more) = more.split_at_checked(4).context("cut short")?;
        let (data, more) = more.split_at_checked(length).context("cut short")?;
        match kind {
            b"IHDR" => header = data.to_vec(),
            b"IDAT" => packed.extend_from_slice(data),
            _ => {}
        }
        rest = more.get(4..).unwrap_or_default();
    }
    let [w0, w1, w2, w3, h0, h1, h2, h3, 8, color @ (2 | 6), 0, 0, 0] = header[..] else {
        bail!("a PNG of another kind: {header:?}")
    };
    let (width, height) = (
        u32::from_be_bytes([w0, w1, w2, w3]) as usize,
        u32::from_be_bytes([h0, h1, h2, h3]) as usize,
    );
    let step = if color == 2 { 3 } else { 4 };
    let mut bytes = Vec::new();
    ZlibDecoder::new(&packed[..]).read_to_end(&mut bytes).context("cannot inflate")?;
    let mut above = vec![0; width * step];
    let mut pixels = Vec::with_capacity(width * height);
    for row in bytes.chunks_exact(width * step + 1) {
        let (filter, row) = (row[0], &row[1..]);
        let mut line = vec![0_u8; row.len()];
        for (n, byte) in row.iter().enumerate() {
            let (left, corner) = match n.checked_sub(step) {
                Some(before) => (line[before], above[before]),
                None => (0, 0),
            };
            let guess = match filter {
                0 => 0,
                1 => left,
                2 => above[n],
                3 => left.midpoint(above[n]),
                4 => paeth(left, above[n], corner),
                _ => bail!("no such filter: {filter}"),
            };
            line[n] = byte.wrapping_add(guess);
        }
        pixels.extend(line.chunks_exact(step).map(|it| [it[0], it[1], it[2]]));
        above = line;
    }
    Ok(Screenshot { width, height, pixels })
}

/// The neighbour that is nearest to what a plane through all three would be.
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let plane = i16::from(left) + i16::from(above) - i16::from(corner);
    let off = |it: u8| (plane - i16::from(it)).abs();
    if off(left) <= off(above) && off(left) <= off(corner) {
        left
    } else if off(above) <= off(corner) {
        above
    } else {
        corner
    }
}
