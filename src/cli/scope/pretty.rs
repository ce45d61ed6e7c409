//! Outcomes written for people: the text, and below it what is marked in it.

use super::Outcome;
use crate::span::Span;
use std::io::{self, Write};

/// Bytes of the caller's text that are shown before the place of a refusal, and after its beginning.
const BEFORE: usize = 60;
const AFTER: usize = 100;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[0m";

/// The writer for people.
pub(super) struct Pretty {
    /// Whether the terminal's colors are used.
    pub color: bool,
}

/// How places are marked.
struct Mark {
    below: char,
    color: &'static str,
}

const INSERTED: Mark = Mark { below: '+', color: GREEN };
const REFUSED: Mark = Mark { below: '^', color: RED };

impl Pretty {
    /// Writes one outcome and an empty line.
    pub fn write(&self, output: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
        match &outcome.scoped {
            Ok(scoped) => {
                self.marked(output, scoped.as_str(), scoped.insertions(), &INSERTED)?;
                let plural = if scoped.selectors() == 1 { "" } else { "s" };
                writeln!(output, "{} selector{plural}", scoped.selectors())?;
            }
            Err(refusal) => {
                let (color, reset) = self.around(&REFUSED);
                writeln!(output, "{color}refused{reset} ({}): {}", refusal.kind, shown(&refusal.message))?;
                if let (Some(query), Some(span)) = (&outcome.query, refusal.span) {
                    self.excerpt(output, query, span)?;
                }
            }
        }
        writeln!(output)
    }

    /// The line of `query` in which `span` begins, as much of it as fits, with `span` underlined.
    fn excerpt(&self, output: &mut impl Write, query: &str, span: Span) -> io::Result<()> {
        let (before, after) = query.split_at(query.floor_char_boundary(span.from));
        let line_from = before.rfind('\n').map_or(0, |at| at + 1);
        let line_to = before.len() + after.find('\n').unwrap_or(after.len());
        let from = query.floor_char_boundary(before.len().saturating_sub(BEFORE)).max(line_from);
        let to = query.floor_char_boundary(before.len() + AFTER).min(line_to);
        let within = |at: usize| at.clamp(from, to) - from;
        // A place at the end of the text is underlined below the space after it.
        let marked = Span::new(within(span.from), within(span.to).max(within(span.from) + 1));
        let line = Span::new(from, to).of(query);
        let line = if marked.to > line.len() { format!("{line} ") } else { line.to_owned() };
        self.marked(output, &line, &[marked], &REFUSED)
    }

    /// Writes `text` line by line, below each line with marks those. `spans` are in order.
    fn marked(&self, output: &mut impl Write, text: &str, spans: &[Span], mark: &Mark) -> io::Result<()> {
        let (color, reset) = self.around(mark);
        let mut spans = spans.iter().peekable();
        let mut from = 0;
        for line in text.split('\n') {
            let mut below = String::new();
            let mut on = false;
            for (at, character) in line.char_indices() {
                while spans.next_if(|span| span.to <= from + at).is_some() {}
                let marked = spans.peek().is_some_and(|span| span.from <= from + at);
                if marked != on {
                    output.write_all(if marked { color } else { reset }.as_bytes())?;
                    on = marked;
                }
                write!(output, "{}", shown_character(character))?;
                below.push(if marked { mark.below } else { ' ' });
            }
            writeln!(output, "{}", if on { reset } else { "" })?;
            let below = below.trim_end();
            if !below.is_empty() {
                writeln!(output, "{color}{below}{reset}")?;
            }
            from += line.len() + 1;
        }
        Ok(())
    }

    fn around(&self, mark: &Mark) -> (&'static str, &'static str) {
        if self.color { (mark.color, RESET) } else { ("", "") }
    }
}

/// A query may hold what a terminal would obey.
fn shown_character(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

fn shown(text: &str) -> String {
    text.chars().map(shown_character).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn marked(color: bool, text: &str, spans: &[(usize, usize)]) -> String {
        let spans: Vec<_> = spans.iter().map(|(from, to)| Span::new(*from, *to)).collect();
        let mut output = Vec::new();
        Pretty { color }.marked(&mut output, text, &spans, &INSERTED).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn excerpt(query: &str, from: usize, to: usize) -> String {
        let mut output = Vec::new();
        Pretty { color: false }.excerpt(&mut output, query, Span::new(from, to)).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn marks_stand_below_what_they_mark() {
        assert_eq!(marked(false, "abcdef", &[(1, 3), (4, 5)]), "abcdef\n ++ +\n");
        assert_eq!(marked(false, "äbc", &[(2, 3)]), "äbc\n +\n");
        assert_eq!(marked(false, "ab\ncd\nef", &[(1, 4)]), "ab\n +\ncd\n+\nef\n");
        assert_eq!(marked(false, "ab", &[]), "ab\n");
    }

    #[test]
    fn color_is_around_what_is_marked_and_ends_with_the_line() {
        assert_eq!(marked(true, "abc", &[(1, 3)]), "a\x1b[32mbc\x1b[0m\n\x1b[32m ++\x1b[0m\n");
        assert_eq!(marked(true, "abc", &[]), "abc\n");
    }

    #[test]
    fn no_terminal_obeys_a_query() {
        assert_eq!(marked(false, "a\x1b[31mb\u{9b}c", &[]), "a [31mb c\n");
    }

    #[test]
    fn an_excerpt_underlines_the_place_wherever_it_is() {
        assert_eq!(excerpt("1 + info(up)", 4, 8), "1 + info(up)\n    ^^^^\n");
        assert_eq!(excerpt("1 +", 3, 3), "1 + \n   ^\n");
        assert_eq!(excerpt("", 0, 0), " \n^\n");
        assert_eq!(excerpt("1 +\n\nx y\nz", 7, 11), "x y\n  ^\n");
        let long = format!("{}bad{}", "a".repeat(1000), "z".repeat(1000));
        let shown = excerpt(&long, 1000, 1003);
        assert!(shown.starts_with(&format!("{}badz", "a".repeat(BEFORE))), "{shown}");
        assert_eq!(shown.lines().nth(1).unwrap(), format!("{}^^^", " ".repeat(BEFORE)));
    }
}
