//! Bytes, read as choices: how a fuzzer steers what is generated.

/// What is left of the bytes. When none is left, every choice is the first.
pub(super) struct Choices<'b> {
    rest: &'b [u8],
}

impl<'b> Choices<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// One of `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        usize::from(*first) % count.max(1)
    }

    /// Yes or no; no when nothing is left, so that whatever goes on ends.
    pub fn yes(&mut self) -> bool {
        self.below(2) == 1
    }

    pub fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of.get(self.below(of.len())).copied().unwrap_or_default()
    }

    /// How many of something there are, fewer than `most`.
    pub fn some(&mut self, most: usize) -> usize {
        self.below(most)
    }
}

/// A generated text, and how many selectors it has.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub text: String,
    pub selectors: usize,
}

impl Tree {
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }
}
