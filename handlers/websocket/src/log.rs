//! Text for the log: text from others with its invisible characters escaped, and an error with its causes.

use std::error::Error as StdError;

/// The text as it may be logged: invisible characters are escaped, in Rust's notation.
///
/// JSON does not escape characters that change how a line looks: those that turn the direction of writing around, and
/// those without width.
pub fn visible(text: &str) -> String {
    // Visible as they are; the log's format quotes them where it has to.
    const QUOTES: [char; 3] = ['"', '\'', '\\'];
    let mut visible = String::with_capacity(text.len());
    for piece in text.split_inclusive(QUOTES) {
        let unquoted = piece.trim_end_matches(QUOTES);
        visible.extend(unquoted.escape_debug());
        visible.push_str(&piece[unquoted.len()..]);
    }
    visible
}

/// The error and its causes, as one sentence for the log.
pub fn chain(error: &dyn StdError) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        sentence.push_str(": ");
        sentence.push_str(&error.to_string());
        cause = error.source();
    }
    visible(&sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_escaped() {
        for text in [
            "",
            "ada",
            "Ada Lovelace",
            "O'Brien",
            r#""a\b""#,
            "auth0|5f7c",
            "ünï@example.com",
            "عادة",
            "हिन्दी",
            "日本",
        ] {
            assert_eq!(visible(text), text);
        }
        for (text, logged) in [
            ("a\u{202e}b", r"a\u{202e}b"),
            ("\u{2066}a\u{2069}", r"\u{2066}a\u{2069}"),
            ("a\u{200f}", r"a\u{200f}"),
            ("a\u{61c}", r"a\u{61c}"),
            ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
            ("a\u{2028}b", r"a\u{2028}b"),
            ("a\nb\r\0", r"a\nb\r\0"),
            ("\u{1b}[31m\u{85}\u{9b}", r"\u{1b}[31m\u{85}\u{9b}"),
            ("\"\u{202e}'\u{202e}", "\"\\u{202e}'\\u{202e}"),
        ] {
            assert_eq!(visible(text), logged);
        }
    }
}
