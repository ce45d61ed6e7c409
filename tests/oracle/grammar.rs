//! Texts of a typed grammar, one seed always the same. The oracle's queries and those that conformance asks of two sets of
//! backends are made so.

use std::collections::BTreeMap;

/// A grammar: for each name its alternatives, the first of which ends soon.
pub struct Grammar(BTreeMap<String, Vec<Vec<Part>>>);

enum Part {
    Text(String),
    Name(String),
}

impl Grammar {
    /// Reads a grammar: a name a line, its alternatives on lines indented by two below it, in them
    /// `<name>` for one of the name's alternatives. `\n` is a line feed, `\<` a `<`, `\e` nothing.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut rules: BTreeMap<String, Vec<Vec<Part>>> = BTreeMap::new();
        let mut name = "";
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("  ") {
                None => name = line,
                Some(alternative) => {
                    rules.entry(name.to_owned()).or_default().push(parts(alternative));
                }
            }
        }
        for part in rules.values().flatten().flatten() {
            if let Part::Name(name) = part
                && !rules.contains_key(name)
            {
                return Err(format!("a grammar has no `{name}`"));
            }
        }
        Ok(Self(rules))
    }

    /// Adds to `text` what `name` becomes, at most `depth` names below each other before each ends soon.
    pub fn grow(&self, name: &str, depth: usize, random: &mut Random, text: &mut String) {
        let alternatives = &self.0[name];
        let chosen = if depth == 0 { &alternatives[0] } else { random.pick(alternatives) };
        for part in chosen {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Name(name) => self.grow(name, depth.saturating_sub(1), random, text),
            }
        }
    }
}

const ESCAPES: [(&str, &str); 3] = [("\\n", "\n"), ("\\<", "<"), ("\\e", "")];

/// `a <name> b` as text and names. `<` and `>` that hold no name are text.
fn parts(alternative: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = alternative;
    let mut text = String::new();
    while let Some(c) = rest.chars().next() {
        if let Some((_, escaped)) = ESCAPES.iter().find(|(escape, _)| rest.starts_with(escape)) {
            text.push_str(escaped);
            rest = &rest[2..];
            continue;
        }
        let name = rest.strip_prefix('<').and_then(|after| after.split_once('>')).map(|(name, _)| name);
        match name
            .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        {
            Some(name) => {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Name(name.to_owned()));
                rest = &rest[name.len() + 2..];
            }
            None => {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    parts.push(Part::Text(text));
    parts
}

/// Pseudo-random numbers (SplitMix64).
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
