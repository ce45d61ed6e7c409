//! Queries made up here: from a typed grammar of each language (`grammars/`), and by mutations of what
//! the backends accept. The same seed gives the same queries.

use crate::ours::Language;
use crate::sources::{Case, From};
use std::collections::BTreeMap;

/// Makes queries.
pub struct Generator {
    /// What the first random number comes from.
    pub seed: u64,
    random: Random,
    grammars: BTreeMap<Language, Grammar>,
    /// Tokens of texts that the backends accept.
    accepted: BTreeMap<Language, Vec<Vec<String>>>,
}

/// Longer texts are not mutated, to keep the runs short.
const LONGEST: usize = 400;

impl Generator {
    /// A generator that mutates `accepted`.
    pub fn new(seed: u64, accepted: BTreeMap<Language, Vec<String>>) -> Result<Self, String> {
        let read = |text| Grammar::read(text);
        let grammars = [
            (Language::PromQl, read(include_str!("grammars/promql.txt"))?),
            (Language::LogQl, read(include_str!("grammars/logql.txt"))?),
            (Language::TraceQl, read(include_str!("grammars/traceql.txt"))?),
        ];
        let tokens = |texts: Vec<String>| {
            texts.iter().filter(|text| text.len() < LONGEST).map(|text| tokens(text)).collect()
        };
        Ok(Self {
            seed,
            random: Random(seed),
            grammars: grammars.into(),
            accepted: accepted.into_iter().map(|(language, texts)| (language, tokens(texts))).collect(),
        })
    }

    /// The next query: each language in turn, half from the grammar, half mutated; every eighth also
    /// as a selector.
    pub fn next(&mut self) -> Case {
        let language = Language::ALL[self.random.below(3)];
        let query = if self.random.below(2) == 0 { self.grown(language) } else { self.mutated(language) };
        let case = Case::new(language, query, From::Generated);
        match case.as_selector() {
            Some(selector) if self.random.below(8) == 0 => selector,
            _ => case,
        }
    }

    fn grown(&mut self, language: Language) -> String {
        let mut text = String::new();
        let deepest = 3 + self.random.below(6);
        self.grammars[&language].grow("query", deepest, &mut self.random, &mut text);
        text
    }

    fn mutated(&mut self, language: Language) -> String {
        let Some(all) = self.accepted.get(&language).filter(|all| !all.is_empty()) else {
            return self.grown(language);
        };
        let random = &mut self.random;
        let mut text = if random.below(4) == 0 {
            let mut grown = String::new();
            self.grammars[&language].grow("query", 4, random, &mut grown);
            tokens(&grown)
        } else {
            random.pick(all).clone()
        };
        for _ in 0..=random.below(3) {
            let at = random.below(text.len() + 1);
            let within = at.min(text.len().saturating_sub(1));
            match random.below(10) {
                0..3 if !text.is_empty() => text[within] = some_token(all, random),
                3..5 => text.insert(at, some_token(all, random)),
                5..7 if !text.is_empty() => drop(text.remove(within)),
                7 if text.len() > 1 => {
                    let other = random.below(text.len());
                    text.swap(within, other);
                }
                8 if !text.is_empty() => {
                    let other = random.pick(all);
                    let from = random.below(other.len().max(1));
                    let to = (from + 1 + random.below(5)).min(other.len());
                    text.splice(within..=within, other[from..to].iter().cloned());
                }
                _ => text.insert(at, (*random.pick(&ODD)).to_owned()),
            }
        }
        text.concat()
    }
}

/// What is rarely in upstream's own texts.
const ODD: [&str; 40] = [
    " ",
    "\t",
    "\n",
    "\r",
    "#x\n",
    "//",
    "/*",
    "'",
    "\"",
    "`",
    "\\",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    ":",
    "@",
    "é",
    "\u{fffd}",
    "\u{feff}",
    "\0",
    "0x1F",
    "1_000",
    "08",
    "1e400",
    "-",
    "--",
    "inf",
    "NaN",
    "tenant",
    "\"\\xff\"",
    "''",
    "{}",
    "5m",
    "1.5h",
    "!",
];

fn some_token(all: &[Vec<String>], random: &mut Random) -> String {
    let text = random.pick(all);
    let token = text.get(random.below(text.len().max(1)));
    token.cloned().unwrap_or_default()
}

/// Splits a text roughly as the languages do.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
        let symbol = |c: char| "=!<>~|&".contains(c);
        let run = |of: &dyn Fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
        let length = match first {
            '"' | '\'' | '`' => string_length(rest, first),
            c if c.is_whitespace() => run(&char::is_whitespace),
            c if word(c) => run(&word),
            c if symbol(c) => run(&symbol),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token.to_owned());
        rest = after;
    }
    tokens
}

fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = true; // the opening quote
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A grammar: for each name its alternatives, the first of which ends soon.
struct Grammar(BTreeMap<String, Vec<Vec<Part>>>);

enum Part {
    Text(String),
    Name(String),
}

impl Grammar {
    /// Reads a grammar: a name a line, its alternatives on lines indented by two below it, in them
    /// `<name>` for one of the name's alternatives. `\n` is a line feed, `\<` a `<`, `\e` nothing.
    fn read(text: &str) -> Result<Self, String> {
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

    fn grow(&self, name: &str, depth: usize, random: &mut Random, text: &mut String) {
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
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
