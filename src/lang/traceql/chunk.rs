//! How Tempo's scanner reads a long text.
//!
//! Tempo's lexer (`pkg/traceql/lexer.go`) embeds Go's `text/scanner`, which reads its input in chunks
//! of 1,024 bytes. After a number, and at the start of an attribute, it copies that scanner to look
//! ahead. A copy that comes to the end of its buffer takes the next chunk from the reader that both
//! share, and the original then never sees it. This reader does the same, so that the proof can
//! require that no text of ours is read so.

use super::lex::Kind;
use super::literal;
use crate::lang::core::token::Token;

/// Bytes of a chunk: `bufLen` of Go's `text/scanner/scanner.go`.
pub const BYTES: usize = 1024;

/// Whether Tempo's scanner reads just `tokens` from `text`, from which they were lexed.
///
/// Linear, but for a copy of one chunk for each number and attribute.
pub fn agrees(text: &str, tokens: &[Token<Kind>]) -> bool {
    let mut source = Source { rest: text.as_bytes() };
    let mut reader = Reader::new(&mut source);
    let mut read = String::new();
    for token in tokens {
        if reader.token(&mut source, &mut read).is_none() || read != token.span.of(text) {
            return false;
        }
    }
    reader.skip_space(&mut source);
    reader.next.is_none() && !reader.failed
}

/// What all copies of a scanner read from.
struct Source<'a> {
    rest: &'a [u8],
}

/// The scanner: its buffer, and the one character it has read ahead.
#[derive(Clone)]
struct Reader {
    buffer: [u8; BYTES],
    at: usize,
    end: usize,
    next: Option<char>,
    /// What was read is not UTF-8: a chunk that vanished began inside a character.
    failed: bool,
}

impl Reader {
    fn new(source: &mut Source<'_>) -> Self {
        let mut reader = Self { buffer: [0; BYTES], at: 0, end: 0, next: None, failed: false };
        reader.advance(source);
        reader
    }

    /// `Scanner.next`: reads on when the buffer does not hold the whole of the next character.
    fn advance(&mut self, source: &mut Source<'_>) {
        if let Some(&byte) = self.buffer.get(self.at).filter(|b| self.at < self.end && b.is_ascii()) {
            self.next = Some(char::from(byte));
            self.at += 1;
            return;
        }
        while !self.holds_character() {
            self.buffer.copy_within(self.at..self.end, 0);
            self.end -= self.at;
            self.at = 0;
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            let bytes = room.len().min(source.rest.len());
            let (chunk, rest) = source.rest.split_at(bytes);
            room.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            source.rest = rest;
            self.end += bytes;
            if bytes == 0 {
                break;
            }
        }
        let bytes = self.buffer.get(self.at..self.end).unwrap_or_default();
        let width = bytes.first().map_or(0, |b| width(*b));
        self.next = match bytes.get(..width).map(str::from_utf8) {
            Some(Ok(text)) => text.chars().next(),
            _ => {
                self.failed = true;
                None
            }
        };
        self.at += width;
    }

    fn holds_character(&self) -> bool {
        let bytes = self.buffer.get(self.at..self.end).unwrap_or_default();
        bytes.first().is_some_and(|b| width(*b) <= bytes.len())
    }

    fn skip_space(&mut self, source: &mut Source<'_>) {
        while matches!(self.next, Some(' ' | '\t' | '\n' | '\r')) {
            self.advance(source);
        }
    }

    /// Moves the next character into `text`.
    fn take(&mut self, source: &mut Source<'_>, text: &mut String) {
        text.extend(self.next);
        self.advance(source);
    }

    /// The next token, with an attribute's scope and name, and a scoped intrinsic's, as one. `None` at
    /// the end or for what is no token that we send.
    fn token(&mut self, source: &mut Source<'_>, text: &mut String) -> Option<()> {
        text.clear();
        self.skip_space(source);
        match self.next? {
            'a'..='z' | 'A'..='Z' | '_' => {
                while self.next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                    self.take(source, text);
                }
                match (text.as_str(), self.next) {
                    ("resource" | "span" | "event" | "link" | "instrumentation", Some('.')) => {
                        self.take(source, text);
                        self.name(source, text)?;
                    }
                    ("trace" | "span" | "event" | "link" | "instrumentation", Some(':')) => {
                        self.take(source, text);
                        self.skip_space(source);
                        while self.next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                            self.take(source, text);
                        }
                    }
                    _ => {}
                }
            }
            '0'..='9' => self.number(source, text),
            '.' => {
                self.take(source, text);
                if self.next.is_some_and(|c| c.is_ascii_digit()) {
                    self.number(source, text);
                } else {
                    self.name(source, text)?;
                }
            }
            quote @ ('"' | '`') => self.string(quote, source, text)?,
            _ => self.operator(source, text)?,
        }
        (!self.failed).then_some(())
    }

    fn string(&mut self, quote: char, source: &mut Source<'_>, text: &mut String) -> Option<()> {
        self.take(source, text);
        while self.next? != quote {
            if self.next == Some('\\') && quote == '"' {
                self.take(source, text);
            }
            self.take(source, text);
        }
        self.take(source, text);
        Some(())
    }

    /// One character, and more while it makes a longer operator.
    fn operator(&mut self, source: &mut Source<'_>, text: &mut String) -> Option<()> {
        self.take(source, text);
        while let Some(next) = self.next {
            let longer = matches!(
                (text.as_str(), next),
                ("=", '~')
                    | ("!", '=' | '~' | '>' | '<')
                    | ("!>" | ">", '>')
                    | ("!<" | "<", '<')
                    | (">" | "<", '=')
                    | ("|", '|')
                    | ("&", '&' | '~' | '>' | '<')
                    | ("&>", '>')
                    | ("&<", '<')
            );
            if !longer {
                break;
            }
            self.take(source, text);
        }
        // A comment is no token.
        (text != "/" || !matches!(self.next, Some('/' | '*'))).then_some(())
    }

    /// Digits, a fraction, an exponent; then whether units make it a duration (`tryScanDuration`).
    fn number(&mut self, source: &mut Source<'_>, text: &mut String) {
        self.digits(source, text);
        if self.next == Some('.') && !text.contains('.') {
            self.take(source, text);
            self.digits(source, text);
        }
        if matches!(self.next, Some('e' | 'E')) {
            self.take(source, text);
            if matches!(self.next, Some('+' | '-')) {
                self.take(source, text);
            }
            self.digits(source, text);
        }
        if !self.next.is_some_and(is_unit) {
            return;
        }
        let mut ahead = self.clone();
        let mut read = text.clone();
        let mut units = 0;
        while ahead.next.is_some_and(is_unit) {
            ahead.take(source, &mut read);
            units += 1;
        }
        if literal::duration(&read).is_some() {
            // The value is the copy's; the original skips as many characters, whichever it meets.
            (0..units).for_each(|_| self.advance(source));
            *text = read;
        }
    }

    fn digits(&mut self, source: &mut Source<'_>, text: &mut String) {
        while self.next.is_some_and(|c| c.is_ascii_digit()) {
            self.take(source, text);
        }
    }

    /// An attribute's name (`parseAttribute`), after a look at whether it begins with a scope
    /// (`tryScopeAttribute`): that look is all of the copy that matters here.
    fn name(&mut self, source: &mut Source<'_>, text: &mut String) -> Option<()> {
        // A copy that cannot come to the end of the buffer changes nothing.
        if self.end - self.at < 4 * (LONGEST_SCOPE + 4) {
            self.look_for_scope(source);
        }
        while let Some(c) = self.next.filter(|c| in_name(*c)) {
            if c == '"' {
                self.string('"', source, text)?;
            } else {
                self.take(source, text);
            }
        }
        Some(())
    }

    /// What the copy of `tryScopeAttribute` reads. Its finding matters after `parent.` only.
    fn look_for_scope(&self, source: &mut Source<'_>) {
        let mut ahead = self.clone();
        let mut seen = 0;
        while let Some(c) = ahead.next {
            if c == '.' {
                ahead.advance(source);
                break;
            }
            if !in_name(c) || seen > LONGEST_SCOPE {
                break;
            }
            seen += c.len_utf8();
            ahead.advance(source);
        }
    }
}

/// What `tryScanDuration` takes for a part of a duration.
fn is_unit(c: char) -> bool {
    matches!(c, '0'..='9' | 'n' | 's' | 'u' | 'm' | 'h' | 'µ' | 'd' | 'w' | 'y' | '.') || c.is_numeric()
}

/// `longestScope` of Tempo's `tryScopeAttribute`.
const LONGEST_SCOPE: usize = 9;

/// `isAttributeRune`.
fn in_name(c: char) -> bool {
    !c.is_whitespace() && !"{}()=~!<>&|^,".contains(c)
}

/// Bytes of the character that begins with `first`; 1 for what begins none.
const fn width(first: u8) -> usize {
    match first {
        0xf0..=0xf7 => 4,
        0xe0..=0xef => 3,
        0xc0..=0xdf => 2,
        _ => 1,
    }
}
