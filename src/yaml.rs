//! The one way in which a YAML file of the operator is read: strict, bounded, with the position of
//! every fault.

use serde::de::DeserializeOwned;
use serde_saphyr::{DuplicateKeyPolicy, Location};
use std::fmt;
use std::time::Duration;

/// Bytes of one configuration or policy file.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// What is wrong with a file of the operator, and where. Printed as `FILE:LINE:COLUMN: message`, the
/// form that editors and CI systems link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    file: String,
    /// Line and column, both from 1, in characters; `None` for the file as a whole.
    position: Option<(u64, u64)>,
    message: String,
}

impl FileError {
    /// A fault of the file as a whole.
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), position: None, message: message.into() }
    }

    /// A fault at a place in the file.
    pub fn at(file: impl Into<String>, place: Location, message: impl Into<String>) -> Self {
        let position = (place != Location::UNKNOWN).then(|| (place.line(), place.column()));
        Self { file: file.into(), position, message: message.into() }
    }

    /// The file, as it was named to the reader.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line and column, both from 1, in characters.
    pub fn position(&self) -> Option<(u64, u64)> {
        self.position
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for FileError {}

/// Reads one document. Unknown keys are refused where `T` says so (every struct of this crate does);
/// repeated keys, a second document and booleans other than `true` and `false` always are.
///
/// # Errors
/// The first fault, with its position.
pub fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(FileError::new(file, format!("over the limit of {MAX_FILE_BYTES} bytes")));
    }
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Err(FileError::new(file, "the file is empty"));
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().unwrap_or(Location::UNKNOWN);
        FileError::at(file, place, message(&error, place))
    })
}

/// Reads a whole number with one of the units `ms`, `s`, `m`, `h`, `d`.
///
/// # Errors
/// What is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no duration, write a whole number and one of ms, s, m, h, d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(bad)
}

/// The reader's own message, without the position that [`FileError`] prints itself.
fn message(error: &serde_saphyr::Error, place: Location) -> String {
    let text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let position = format!(" at line {}, column {}", place.line(), place.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    match text {
        // The names of Rust's types say nothing to an operator.
        "invalid u64" | "invalid u32" | "invalid u16" | "invalid usize" => {
            "a whole number is wanted here".to_owned()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct File {
        name: String,
        on: Option<bool>,
    }

    fn fault(text: &str) -> String {
        read::<File>("f.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn a_fault_says_what_is_wanted() {
        for empty in ["", "\n", "# nothing\n\n"] {
            assert_eq!(fault(empty), "f.yaml: the file is empty");
        }
        #[derive(Debug, Deserialize)]
        struct Counted {
            #[allow(dead_code)]
            n: u64,
        }
        let counted = |text: &str| read::<Counted>("f.yaml", text).unwrap_err().to_string();
        assert_eq!(counted("n: 10/s\n"), "f.yaml:1:4: a whole number is wanted here");
    }

    #[test]
    fn a_fault_has_its_place_once() {
        assert_eq!(fault("name: a\nnam: b\n"), "f.yaml:2:1: unknown field `nam`, expected one of name, on");
        assert_eq!(
            fault("name: a\nname: b\n"),
            "f.yaml:2:1: duplicate mapping key `name` is not allowed here"
        );
        assert_eq!(fault("on: true\n"), "f.yaml:1:1: missing field `name`");
        assert!(fault("name: a\n---\nname: b\n").starts_with("f.yaml:3:1: "));
        assert!(fault("name: a\non: yes\n").starts_with("f.yaml:2:5: "), "only true and false are booleans");
        assert_eq!(fault(""), "f.yaml: the file is empty");
    }

    #[test]
    fn a_file_has_1_mib_and_not_a_byte_more() {
        let body = "name: a\n#";
        let fits = format!("{body}{}", "x".repeat(MAX_FILE_BYTES - body.len()));
        assert_eq!(read::<File>("f.yaml", &fits), Ok(File { name: "a".into(), on: None }));
        assert_eq!(fault(&format!("{fits}x")), "f.yaml: over the limit of 1048576 bytes");
    }

    #[test]
    fn aliases_cannot_multiply() {
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (this, last) in
            ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"])
        {
            bomb.push_str(&format!("{this}: &{this} [{}]\n", [format!("*{last}").as_str(); 10].join(", ")));
        }
        read::<serde_json::Value>("f.yaml", &bomb).unwrap_err();
    }

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (text, millis) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0s", 0),
            ("31d", 2_678_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in
            ["", "30", "s", "1.5s", "-1s", "+1s", "1 s", "1S", "1w", "1m30s", "18446744073709551615h", "١s"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
