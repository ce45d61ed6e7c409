//! What is said to an author who writes as in another language.

/// What an author hardly meant, who writes as in another language.
pub(super) fn meant(text: &str) -> Option<&'static str> {
    // Outside of texts; escapes do not matter to a hint.
    let mut bare = String::with_capacity(text.len());
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => {
                quote = Some(c);
                bare.push(' ');
            }
            None => bare.push(c),
        }
    }
    let is_word =
        |word: &str| bare.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word);
    if quote.is_some() {
        return Some("a quote is not closed");
    }
    let assigns = bare.replace("==", "  ").replace("!=", "  ").replace("<=", "  ").replace(">=", "  ");
    if assigns.contains('=') {
        return Some("CEL compares with `==`");
    }
    if is_word("and") {
        return Some("CEL says `&&` for and");
    }
    if is_word("or") {
        return Some("CEL says `||` for or");
    }
    if is_word("not") {
        return Some("CEL says `!` for not");
    }
    let count = |c: char| bare.matches(c).count();
    [('(', ')'), ('[', ']'), ('{', '}')]
        .into_iter()
        .any(|(open, close)| count(open) != count(close))
        .then_some("a bracket is not closed, or closed once too often")
}
