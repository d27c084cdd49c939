//! Text from outside, made fit for a log line or a status.

/// One line without control characters, of at most `longest` characters.
pub(super) fn printable(text: &str, longest: usize) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(longest).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_one_short_line() {
        assert_eq!(printable(" a\nb\r\u{1b}[31mc\n", 256), "a b  [31mc");
        assert_eq!(printable(&"é".repeat(1000), 256), "é".repeat(256));
    }
}
