//! Byte positions in a caller's text.

/// A half-open range of bytes in the text it was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub from: usize,
    /// One past the last byte.
    pub to: usize,
}

impl Span {
    /// The range `from..to`.
    pub const fn new(from: usize, to: usize) -> Self {
        Self { from, to }
    }

    /// The empty range at `at`.
    pub const fn at(at: usize) -> Self {
        Self { from: at, to: at }
    }

    /// The smallest range that holds both.
    pub fn join(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// The bytes of `text` in this range; empty if the range is not within it.
    pub fn of(self, text: &str) -> &str {
        text.get(self.from..self.to).unwrap_or("")
    }
}

/// Where a node of a tree was read. Always equal to any other position, so that two trees compare by
/// what they say and not by where they say it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position(pub Span);

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Position {}
