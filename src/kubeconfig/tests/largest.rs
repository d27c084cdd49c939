//! Documents as long as any that is read, made to cost a reader as much as they can. What bounds time
//! and memory is counted while reading, so each is refused for its shape and not for its length.

use super::*;

/// `start`, as many `parts` as fit, and `end`.
fn filled(start: &str, part: &str, end: &str) -> String {
    let parts = (MAX_BYTES - start.len() - end.len()) / part.len();
    format!("{start}{}{end}", part.repeat(parts))
}

/// Each name stands for ten of the one before.
fn laughs(levels: usize) -> String {
    let level = |level: usize| {
        let before = format!("*l{}, ", level - 1).repeat(10);
        format!("l{level}: &l{level} [{before}]\n")
    };
    let above: String = (1..levels).map(level).collect();
    format!("l0: &l0 ha\n{above}")
}

#[test]
fn however_a_document_of_the_largest_size_is_nested_or_multiplied_it_is_refused() {
    let sound = sound();
    for text in [
        filled("", "[", ""),
        filled("", "{a: ", ""),
        filled("", "- ", ""),
        filled("", "? ", ""),
        filled("", "a: ", ""),
        filled("", "- a\n", ""),
        filled("", "\"", ""),
        filled("", "'", ""),
        filled("", "&a ", ""),
        filled("", "*a ", ""),
        filled("", "!!str ", ""),
        filled("", "%TAG ! tag:x,2000:\n", ""),
        filled("", "---\n", ""),
        filled("", "---\na\n", ""),
        filled("", "|\n", ""),
        filled("", ",", ""),
        filled("", "\t", ""),
        filled("", "\0", ""),
        filled("[", "a,", "]"),
        filled("{", "a: b,", "}"),
        filled("[", "[],", "]"),
        filled("[", "&a a,", "]"),
        filled("&a [", "*a,", "]"),
        filled("a: &a b\nc: [", "*a,", "]"),
        filled(&format!("{sound}extensions: ["), "{},", "]"),
        filled(&format!("{sound}extensions:\n"), "- {a: b}\n", ""),
        filled(&format!("{sound}extensions: "), "[", ""),
        filled(&sound, "<<: {}\n", ""),
        filled(&sound, "---\n", ""),
        filled(&sound, "# x\n", ""),
        laughs(9) + &sound,
        sound.clone() + &laughs(9),
    ] {
        assert!(text.len() <= MAX_BYTES);
        let start: String = text.chars().take(60).collect();
        let error = parse(&text).expect_err(&start);
        assert_ne!(error, KubeconfigError::TooLong, "{start}");
    }
}

#[test]
fn what_costs_nothing_may_fill_a_document_up_to_the_last_byte() {
    let sound = sound();
    let comment = filled(&format!("{sound}# "), "x", "");
    let blank = filled(&sound, "\n", "");
    let words = filled(&format!("{sound}extensions: "), "x", "");
    let quoted = filled(&format!("{sound}extensions: \""), "\\n", "\"");
    for text in [comment, blank, words, quoted] {
        let kubeconfig = parse(&text).expect("sound");
        assert_eq!(kubeconfig.credential(), &token_credential());
    }
    let full = filled(&sound, "\n", "");
    assert_eq!(full.len(), MAX_BYTES);
    assert_eq!(refused(&(full + "\n")), KubeconfigError::TooLong);
}

#[test]
fn nesting_is_refused_beyond_32_levels_wherever_it_is() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!("{}extensions: {open}{close}\n", sound())
    };
    parse(&nested(31)).expect("within the mapping: 32 levels");
    assert_eq!(refused(&nested(32)), KubeconfigError::NotAKubeconfig);
}

#[test]
fn not_even_one_alias_is_followed() {
    let anchored = sound().replace("preferences: {}", "preferences: &a {}");
    parse(&anchored).expect("a name that nothing refers to");
    let followed = anchored.replace("kind: Config", "kind: Config\nextensions: *a");
    assert_ne!(followed, anchored);
    assert_eq!(refused(&followed), KubeconfigError::NotAKubeconfig);
}
