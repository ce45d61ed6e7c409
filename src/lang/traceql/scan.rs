//! A second reader, for the proof only. It shares no code with the first and knows strings, comments,
//! braces and parentheses: it finds every spanset filter and what stands at the start of every
//! pipeline, and requires the scope there.

/// How many spanset filters `text` has, if each begins with `condition` and keeps the rest of it in
/// one pair of parentheses, and every pipeline begins with a filter of `condition` alone, as a stage.
/// Words of `condition` may be further apart than by one space: a long text is padded.
pub(super) fn filters(text: &str, condition: &str) -> Option<usize> {
    let mut scan = Scan { rest: text.as_bytes() };
    let mut found = 0;
    // A pipeline begins here; the last thing was a word; parentheses of a call that are open, and others.
    let (mut begins, mut after_word, mut call, mut open) = (true, false, 0_usize, 0_usize);
    // In how many parentheses the pipeline is whose fence was found.
    let mut fenced: Option<usize> = None;
    while let Some((&byte, after)) = scan.rest.split_first() {
        match byte {
            b' ' => {
                scan.rest = after;
                continue;
            }
            b'{' => {
                let alone = scan.filter(condition)?;
                if fenced.is_none() {
                    if !(begins && alone && scan.ends_stage()) {
                        return None;
                    }
                    fenced = Some(open);
                }
                found += 1;
                (begins, after_word) = (false, false);
                continue;
            }
            b'(' if call > 0 || after_word => call += 1,
            b'(' => {
                open += 1;
                begins = fenced.is_none();
            }
            _ if begins => return None,
            b')' if call > 0 => call -= 1,
            b')' => {
                open = open.checked_sub(1)?;
                fenced = fenced.filter(|within| open >= *within);
            }
            b'"' | b'`' => {
                scan.string()?;
                after_word = false;
                continue;
            }
            b'}' => return None,
            b'/' if matches!(after.first(), Some(b'/' | b'*')) => return None,
            _ => {}
        }
        after_word = byte.is_ascii_alphanumeric() || byte == b'_';
        scan.rest = after;
    }
    (!begins && call == 0 && open == 0).then_some(found)
}

/// Whether `text` ends in the hint of this name and value, which is the last of its list.
pub(super) fn ends_in(text: &str, name: &str, value: &str) -> bool {
    let quoted = format!("\"{value}\"");
    let mut rest = Some(text);
    for word in [")", &quoted, "=", name] {
        rest = rest.and_then(|rest| rest.trim_end_matches(' ').strip_suffix(word));
    }
    rest.is_some_and(|rest| rest.trim_end_matches(' ').ends_with(['(', ',']))
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word.as_bytes())?;
        Some(())
    }

    /// Whether a stage ends here: before a single `|`, the end of its parentheses or of all, or hints.
    fn ends_stage(&mut self) -> bool {
        self.spaces();
        match self.rest {
            [] | [b')', ..] => true,
            [b'|', after @ ..] => after.first() != Some(&b'|'),
            rest => rest.starts_with(b"with"),
        }
    }

    /// `{ condition }` or `{ condition && ( … ) }`: whether it is the first.
    fn filter(&mut self, condition: &str) -> Option<bool> {
        self.take("{")?;
        for word in condition.split(' ') {
            self.take(" ")?;
            self.spaces();
            self.take(word)?;
        }
        self.spaces();
        if self.take("}").is_some() {
            return Some(true);
        }
        self.take("&&")?;
        self.spaces();
        self.take("(")?;
        let mut open = 1_usize;
        while open > 0 {
            let (&byte, after) = self.rest.split_first()?;
            match byte {
                b'"' | b'`' => {
                    self.string()?;
                    continue;
                }
                b'(' => open += 1,
                b')' => open -= 1,
                b'{' | b'}' => return None,
                b'/' if matches!(after.first(), Some(b'/' | b'*')) => return None,
                _ => {}
            }
            self.rest = after;
        }
        self.spaces();
        self.take("}")?;
        Some(false)
    }

    /// A string, escapes skipped in `"…"`.
    fn string(&mut self) -> Option<()> {
        let (&quote, mut rest) = self.rest.split_first()?;
        loop {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            if byte == quote {
                self.rest = rest;
                return Some(());
            }
            if byte == b'\\' && quote == b'"' {
                rest = rest.get(1..)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ends_in, filters};

    #[test]
    fn the_last_hint_is_found() {
        for (text, found) in [
            (r#"{} with(salt="x")"#, true),
            (r#"{} with ( a = 1, salt  =   "x"  ) "#, true),
            (r#"{} with(salt="y")"#, false),
            (r#"{} with(salt="x", a=1)"#, false),
            (r#"{} with(nosalt="x")"#, false),
            (r#"{} with(salt="x") with(a=1)"#, false),
            (r#"salt="x")"#, false),
        ] {
            assert_eq!(ends_in(text, "salt", "x"), found, "{text}");
        }
    }

    const T: &str = r#"resource.tenant = "a""#;

    #[test]
    fn every_filter_must_carry_the_scope() {
        for (text, found) in [
            (r#"{ resource.tenant = "a" }"#, Some(1)),
            (r#"{ resource.tenant = "a" } with(most_recent=true)"#, Some(1)),
            (
                r#"{ resource.tenant   =  "a" } | { resource.tenant = "a" && (  .b = "} {" || (.c) ) }"#,
                Some(2),
            ),
            (r#"({ resource.tenant = "a" } | by((.a + 1) * 2)) && ({ resource.tenant = "a" })"#, Some(2)),
            (r#"{ resource.tenant = "a" } | compare({ resource.tenant = "a" && ( .a`}` ) }, 10)"#, Some(2)),
            (r#"{ resource.tenant = "a" } | by(."}\"{") | max((1 + .a) * 2) > 1"#, Some(1)),
            (
                r#"{ resource.tenant = "a" } | ({ resource.tenant = "a" }) && { resource.tenant = "a" }"#,
                Some(3),
            ),
            (
                r#"({ resource.tenant = "a" } | rate()) / (({ resource.tenant = "a" } | rate())) | topk(1)"#,
                Some(2),
            ),
            (r#"{ resource.tenant = "b" }"#, None),
            (r#"{ resource.tenant = "a" && .b }"#, None),
            (r#"{ resource.tenant = "a" } | { resource.tenant = "a" && ( .b ) || ( .c ) }"#, None),
            (r#"{ resource.tenant = "a" } | { resource.tenant = "a" && ( .b ) || .c }"#, None),
            (r#"{ resource.tenant = "a" || ( .b ) }"#, None),
            (r#"{resource.tenant = "a" }"#, None),
            (r#"{ span.tenant = "a" }"#, None),
            (r#"{ resource.tenant = "a" } && {}"#, None),
            (r#"count() > 1"#, None),
            (r#"(count() > 1) && ({ resource.tenant = "a" })"#, None),
            (r#"({ resource.tenant = "a" }) && (by(.a))"#, None),
            (r#"{ resource.tenant = "a" } // "#, None),
            (r#"{ resource.tenant = "a" } | { resource.tenant = "a" && ( .b // ) }"#, None),
            (r#"{ resource.tenant = "a" } | { resource.tenant = "a" && ( .b = "c ) }"#, None),
            // Without a fence.
            (r#"{ resource.tenant = "a" && ( .b ) }"#, None),
            (r#"{ resource.tenant = "a" } && { resource.tenant = "a" }"#, None),
            (r#"{ resource.tenant = "a" } || { resource.tenant = "a" && ( .b ) }"#, None),
            (r#"({ resource.tenant = "a" }) && { resource.tenant = "a" && ( .b ) }"#, None),
            (
                r#"({ resource.tenant = "a" } | rate()) / ({ resource.tenant = "a" && ( .b ) } | rate())"#,
                None,
            ),
            (r#"(({ resource.tenant = "a" }) && ({ resource.tenant = "a" && ( .b ) })"#, None),
            (r#"{ resource.tenant = "a" } | rate())"#, None),
            ("", None),
        ] {
            assert_eq!(filters(text, T), found, "{text}");
        }
    }
}
