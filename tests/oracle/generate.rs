//! Queries made up here: from a typed grammar of each language (`grammars/`), and by mutations of what
//! the backends accept. The same seed gives the same queries.

use crate::grammar::{Grammar, Random};
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
            random: Random::new(seed),
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
