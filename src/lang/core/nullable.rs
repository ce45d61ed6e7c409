//! Whether a pattern of RE2 matches the empty string, from its structure alone.
//!
//! Backends refuse a selector whose matchers all match the empty string. To refuse the same ones,
//! before our matcher would make them acceptable, the pattern need not be compiled: compiling it here
//! would be another dialect's reading of it. Syntax: <https://github.com/google/re2/wiki/Syntax> as Go's
//! `regexp/syntax` reads it (`parse.go`, with the flags of `regexp.Compile`).

mod atom;

use atom::{Escape, class, escape};

/// Most that a repetition, or nested ones multiplied, may ask for.
const MOST_REPETITIONS: u32 = 1000;

/// One open group: the alternatives before the current one, and the current one up to its last atom.
struct Group {
    /// Some earlier alternative matches the empty string.
    any: bool,
    /// Everything in this alternative before `last` does.
    all: bool,
    /// Whether the last atom does; a repetition that follows may change it.
    last: bool,
    /// There is an atom in this alternative.
    some: bool,
    /// It is repeated already: a repetition must not follow directly.
    repeated: bool,
    /// How often the last atom asks for what is in it, and the most of any atom.
    copies: u32,
    most: u32,
}

impl Group {
    const fn new() -> Self {
        Self { any: false, all: true, last: true, some: false, repeated: false, copies: 1, most: 1 }
    }

    fn atom(&mut self, nullable: bool) {
        self.atom_of(nullable, 1);
    }

    fn atom_of(&mut self, nullable: bool, copies: u32) {
        self.all &= self.last;
        self.last = nullable;
        self.some = true;
        self.repeated = false;
        self.copies = copies;
        self.most = self.most.max(copies);
    }

    /// A repetition of the last atom, at least `least` times. `None` if there is none to repeat: RE2
    /// refuses `*` alone and `a**`.
    fn repeat(&mut self, least: u32) -> Option<()> {
        self.last |= least == 0;
        (self.some && !std::mem::replace(&mut self.repeated, true)).then_some(())
    }

    /// `{least,most}`, `most` being `None` for any number.
    fn repeat_counted(&mut self, least: u32, most: Option<u32>) -> Option<()> {
        let bound = most.unwrap_or(least);
        self.copies = if bound == 0 { 1 } else { self.copies.checked_mul(bound)? };
        self.most = self.most.max(self.copies);
        let counted = least >= 2 || most.is_some_and(|most| most >= 2);
        if least > MOST_REPETITIONS || bound < least || counted && self.copies > MOST_REPETITIONS {
            return None;
        }
        self.repeat(least)
    }

    fn alternative(&mut self) {
        let (any, most) = (self.nullable(), self.most);
        *self = Self { any, most, ..Self::new() };
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

/// Whether `pattern` is none of RE2: brackets, escapes, ranges, names or flags that are wrong, or a
/// repetition of nothing. Left to the backend are names of scripts, names given twice, and patterns
/// that are too large to compile.
pub fn is_malformed(pattern: &[u8]) -> bool {
    scan(pattern).is_none()
}

fn scan(pattern: &[u8]) -> Option<bool> {
    let mut rest = std::str::from_utf8(pattern).ok()?;
    let mut outer = Vec::new();
    let mut group = Group::new();
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        rest = after;
        match first {
            '|' => group.alternative(),
            '(' => rest = open(after, &mut group, &mut outer)?,
            ')' => {
                let (inner, most) = (group.nullable(), group.most);
                group = outer.pop()?;
                group.atom_of(inner, most);
            }
            '*' | '?' | '+' => {
                group.repeat(u32::from(first == '+'))?;
                rest = lazy(after);
            }
            '{' => match repetition(after) {
                Some((least, most, after)) => {
                    group.repeat_counted(least, most)?;
                    rest = lazy(after);
                }
                None => group.atom(false),
            },
            '^' | '$' => group.atom(true),
            '[' => {
                rest = class(after)?;
                group.atom(false);
            }
            '\\' => rest = escaped(after, &mut group)?,
            _ => group.atom(false),
        }
    }
    outer.is_empty().then(|| group.nullable())
}

/// After `(`: opens a group, or takes a group of flags alone, `(?i)`, which is no atom.
fn open<'p>(after: &'p str, group: &mut Group, outer: &mut Vec<Group>) -> Option<&'p str> {
    let mut rest = after;
    if let Some(special) = after.strip_prefix('?') {
        if let Some(named) = special.strip_prefix("P<").or_else(|| special.strip_prefix('<')) {
            let (name, after) = named.split_once('>')?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return None;
            }
            rest = after;
        } else {
            let (flags, opens) = special.split_at(special.find([':', ')'])?);
            check_flags(flags)?;
            rest = opens.get(1..)?;
            if opens.starts_with(')') {
                group.repeated = false; // what follows repeats what stands before
                return Some(rest);
            }
        }
    }
    outer.push(std::mem::replace(group, Group::new()));
    Some(rest)
}

/// `i`, `m`, `s`, `U`, and after a `-` at least one more. `None` for anything else, such as look-ahead,
/// which RE2 has not.
fn check_flags(flags: &str) -> Option<()> {
    let (on, off) = flags.split_once('-').unwrap_or((flags, "i"));
    let known = |flags: &str| flags.bytes().all(|b| b"imsU".contains(&b));
    (known(on) && known(off) && !off.is_empty()).then_some(())
}

/// After a repetition: what follows its `?`, if it has one.
fn lazy(after: &str) -> &str {
    after.strip_prefix('?').unwrap_or(after)
}

/// After `{`: the bounds of `{n}`, `{n,}` or `{n,m}`; `None` if it is no repetition, for then the brace
/// is a literal.
fn repetition(after: &str) -> Option<(u32, Option<u32>, &str)> {
    let (least, after) = count(after)?;
    if let Some(after) = after.strip_prefix('}') {
        return Some((least, Some(least), after));
    }
    let after = after.strip_prefix(',')?;
    if let Some(after) = after.strip_prefix('}') {
        return Some((least, None, after));
    }
    let (most, after) = count(after)?;
    Some((least, Some(most), after.strip_prefix('}')?))
}

/// A number without leading zeros; one that is too large is as large as can be.
fn count(text: &str) -> Option<(u32, &str)> {
    let (digits, after) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), after))
}

/// After `\`: takes one escape, of which only some match nothing but width zero.
fn escaped<'p>(after: &'p str, group: &mut Group) -> Option<&'p str> {
    if let Some(quoted) = after.strip_prefix('Q') {
        let (literal, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        group.repeated = false;
        for _ in literal.chars() {
            group.atom(false);
        }
        return Some(rest);
    }
    if let Some(rest) = after.strip_prefix(['A', 'z', 'B']) {
        group.atom(true);
        return Some(rest);
    }
    // `\b` needs a word character on one side; every other escape is one character of the text.
    group.atom(false);
    if let Some(rest) = after.strip_prefix('b') {
        return Some(rest);
    }
    match escape(after)? {
        (Escape::Class | Escape::Character(_), rest) => Some(rest),
    }
}

#[cfg(test)]
mod tests;
