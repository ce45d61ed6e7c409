//! Whether a pattern of RE2 matches the empty string, from its structure alone.
//!
//! Backends refuse a selector whose matchers all match the empty string. To refuse the same ones,
//! before our matcher would make them acceptable, the pattern need not be compiled: compiling it here
//! would be another dialect's reading of it. Syntax: <https://github.com/google/re2/wiki/Syntax> as Go's
//! `regexp/syntax` reads it.

/// One open group: the alternatives before the current one, and the current one up to its last atom.
struct Group {
    /// Some earlier alternative matches the empty string.
    any: bool,
    /// Everything in this alternative before `last` does.
    all: bool,
    /// Whether the last atom does; a repetition that follows may change it.
    last: bool,
    /// A repetition may follow: there is an atom, and it is not repeated yet.
    repeatable: bool,
}

impl Group {
    const fn new() -> Self {
        Self { any: false, all: true, last: true, repeatable: false }
    }

    fn atom(&mut self, nullable: bool) {
        self.all &= self.last;
        self.last = nullable;
        self.repeatable = true;
    }

    /// A repetition of the last atom, at least `least` times. `None` if there is none to repeat: RE2
    /// refuses `*` alone and `a**`.
    fn repeat(&mut self, least: u32) -> Option<()> {
        self.last |= least == 0;
        std::mem::replace(&mut self.repeatable, false).then_some(())
    }

    fn alternative(&mut self) {
        self.any |= self.all && self.last;
        self.all = true;
        self.last = true;
        self.repeatable = false;
    }

    fn nullable(&self) -> bool {
        self.any || (self.all && self.last)
    }
}

/// Whether `pattern`, anchored at both ends, matches the empty string.
///
/// Exact for what RE2 accepts. A pattern that it refuses counts as not matching; the backend then
/// refuses the query for the pattern. Linear, without recursion.
pub fn matches_empty(pattern: &[u8]) -> bool {
    scan(pattern).unwrap_or(false)
}

/// Whether brackets or escapes of `pattern` are left open or a repetition has nothing to repeat, so
/// that RE2 surely refuses it. Other faults are left to the backend.
pub fn is_malformed(pattern: &[u8]) -> bool {
    scan(pattern).is_none()
}

fn scan(mut rest: &[u8]) -> Option<bool> {
    let mut outer = Vec::new();
    let mut group = Group::new();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'|' => group.alternative(),
            b'(' => {
                rest = open(after, &mut group, &mut outer)?;
            }
            b')' => {
                let inner = group.nullable();
                group = outer.pop()?;
                group.atom(inner);
            }
            b'*' | b'?' | b'+' => {
                group.repeat(u32::from(byte == b'+'))?;
                rest = lazy(after);
            }
            b'{' => match repetition(after) {
                Some((least, after)) => {
                    group.repeat(least)?;
                    rest = lazy(after);
                }
                None => group.atom(false),
            },
            b'^' | b'$' => group.atom(true),
            b'[' => {
                rest = class(after)?;
                group.atom(false);
            }
            b'\\' => rest = escape(after, &mut group)?,
            _ => group.atom(false),
        }
    }
    outer.is_empty().then(|| group.nullable())
}

/// After `(`: opens a group, or takes a group of flags alone, `(?i)`, which is no atom.
fn open<'p>(after: &'p [u8], group: &mut Group, outer: &mut Vec<Group>) -> Option<&'p [u8]> {
    let mut rest = after;
    if let Some(special) = after.strip_prefix(b"?") {
        let named = special.strip_prefix(b"P<").or_else(|| special.strip_prefix(b"<"));
        let stop =
            if named.is_some() { special.iter().position(|&b| b == b'>') } else { flags_end(special) }?;
        rest = special.get(stop + 1..)?;
        if special.get(stop) == Some(&b')') {
            return Some(rest);
        }
    }
    outer.push(std::mem::replace(group, Group::new()));
    Some(rest)
}

/// Where the flags of `(?flags)` or `(?flags:` end: at `:` or `)`. `None` for anything else, such as
/// look-ahead, which RE2 has not.
fn flags_end(special: &[u8]) -> Option<usize> {
    let end = special.iter().position(|&b| matches!(b, b':' | b')'))?;
    special.get(..end)?.iter().all(|b| b"imsU-".contains(b)).then_some(end)
}

/// After a repetition: what follows its `?`, if it has one.
fn lazy(after: &[u8]) -> &[u8] {
    after.strip_prefix(b"?").unwrap_or(after)
}

/// After `{`: the least count of `{n}`, `{n,}` or `{n,m}`; `None` if it is no repetition, for then the
/// brace is a literal.
fn repetition(after: &[u8]) -> Option<(u32, &[u8])> {
    let end = after.iter().take(12).position(|&b| b == b'}')?;
    let inside = std::str::from_utf8(after.get(..end)?).ok()?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if least.is_empty() || !digits(least) || !digits(most) {
        return None;
    }
    Some((least.parse().ok()?, after.get(end + 1..)?))
}

/// After `[`: what follows the character class.
fn class(after: &[u8]) -> Option<&[u8]> {
    let mut rest = after.strip_prefix(b"^").unwrap_or(after);
    rest = rest.strip_prefix(b"]").unwrap_or(rest); // a first bracket is itself
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = match byte {
            b']' => return Some(after),
            b'\\' => after.get(1..)?,
            b'[' if after.starts_with(b":") => {
                let name = after.get(1..)?;
                match name.windows(2).position(|pair| pair == b":]") {
                    Some(end) => name.get(end + 2..)?,
                    None => after,
                }
            }
            _ => after,
        };
    }
}

/// After `\`: takes one escape, of which only some are an atom that matches nothing but width zero.
fn escape<'p>(after: &'p [u8], group: &mut Group) -> Option<&'p [u8]> {
    let (&letter, rest) = after.split_first()?;
    match letter {
        b'A' | b'z' | b'B' => group.atom(true),
        b'Q' => {
            let end = rest.windows(2).position(|pair| pair == br"\E").unwrap_or(rest.len());
            for _ in rest.get(..end)? {
                group.atom(false);
            }
            return Some(rest.get(end + 2..).unwrap_or_default());
        }
        b'p' | b'P' | b'x' if rest.first() == Some(&b'{') => {
            group.atom(false);
            return rest.get(rest.iter().position(|&b| b == b'}')? + 1..);
        }
        b'p' | b'P' => {
            group.atom(false);
            return rest.get(1..);
        }
        b'x' => {
            group.atom(false);
            return rest.get(2..);
        }
        // `\b` needs a word character on one side; every other escape is one character of the text.
        _ => group.atom(false),
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_match_the_empty_string() {
        for pattern in [
            "",
            ".*",
            "a|",
            "|a",
            "a*",
            "a?",
            "a{0}",
            "a{0,3}",
            "a{0,}",
            "(a|)",
            "(?:a*)",
            "(?i)",
            "(?i)a*",
            "(?i:a*)b?",
            "()",
            "^$",
            r"\A\z",
            r"\B",
            "(a*)+",
            "[a-z]*",
            "[]a]*",
            "[^]]*",
            "[[:alpha:]]*",
            r"[\]]*",
            "(?P<n>a*)",
            "(?<n>a*)",
            r"\Q\E",
            r"\x{41}*",
            r"\pL*",
            r"\p{Greek}*",
            "a*?",
            "(a+)*",
            "((((a?))))",
            "(?-s:.*)",
            r"\Qab\E|",
        ] {
            assert!(matches_empty(pattern.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_do_not() {
        for pattern in [
            "a",
            ".+",
            ".",
            "a|b",
            "a*b",
            "(a|b)",
            "(?i)a",
            "a{1}",
            "a{1,2}",
            "a+",
            "{",
            "a{,2}",
            "{0",
            r"\b",
            r"\*",
            r"\d",
            r"\Q.*\E",
            r"\Qa",
            "[]a]",
            "[a*]",
            "[[:alpha:]*]",
            "(a*)b",
            "x(|a)",
            "ä",
            r"\x41",
            r"\pL",
            "(",
            ")",
            "(?=a)*",
            "[a",
            "\\",
            r"a?b{2}c*",
            r"[\\]",
        ] {
            assert!(!matches_empty(pattern.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn open_brackets_and_lone_repetitions_are_malformed() {
        for pattern in [
            "[a-z",
            "a)",
            "(a",
            r"\",
            "(?=a)",
            "[a-z)(",
            ".*(bucket",
            r"\x{41",
            "*",
            "a**",
            ".++",
            "a+?*",
            "(*a)",
            "a|*",
            "a{2}{3}",
        ] {
            assert!(is_malformed(pattern.as_bytes()), "{pattern}");
        }
        for pattern in [
            "",
            "a|b",
            "(a)",
            "[]a]",
            r"\(",
            "[(]",
            r"\Q(\E",
            "(?i)a",
            "{",
            "a{",
            "[[:alpha:]]",
            "[[:]",
            "a+?",
            "a{2}?b*",
            "^*",
            "(a*)*",
            "a(?i)b*",
        ] {
            assert!(!is_malformed(pattern.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}a*{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(matches_empty(deep.as_bytes()));
    }
}
