//! The lossless escape form in which received bytes are shown, and its decoder.
//!
//! Bytes from the network are untrusted: a terminal obeys control sequences, a log is read line
//! by line, and invisible or direction-changing characters make a line read as what it is not.
//! So text is shown as it is, and everything that could act, hide or break the line is escaped.
//! Any sequence of bytes becomes exactly one line of valid UTF-8, and [`unescape`] turns that
//! line back into the same bytes.
//!
//! | form | stands for |
//! |---|---|
//! | `\\` | a backslash |
//! | `\n` `\r` `\t` `\0` | line feed, carriage return, tab, NUL |
//! | `\xNN` | another control byte below 0x80, or one byte of invalid UTF-8; lower-case hex |
//! | `\u{…}` | another code point that must not be shown; lower-case hex, no padding |
//!
//! Escaped code points are the C1 controls, the line and paragraph separators, the bidirectional
//! controls, and what Unicode calls default-ignorable (zero-width characters, joiners, fillers,
//! invisible operators, tags): the property `Default_Ignorable_Code_Point` of
//! [DerivedCoreProperties](https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt),
//! and the annotation controls U+FFF9 to U+FFFB. A variation selector changes how the character
//! before it looks (an emoji, an ideograph), so it is shown where there is such a character, and
//! escaped where it would hide.

mod decode;
mod encode;

pub use decode::{UnescapeError, UnescapeErrorKind, unescape};
pub use encode::{acts_or_hides, escape, escape_into, escape_prefix_into};
