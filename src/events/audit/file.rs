//! The file that lines are appended to.

use super::lines::LineSink;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read as _, Result, Seek as _, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that another program may move away, as rotation does: what comes then goes to a new one.
pub(super) struct Appended {
    path: PathBuf,
    file: File,
}

impl Appended {
    /// Opens the file at `path`, or makes it. A line in it that does not end is ended: it was torn when the program
    /// before this one died.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = append(path)?;
        if is_torn(path) {
            file.write_all(b"\n")?;
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Whether another file stands at the path by now, or none.
    fn is_moved(&self) -> bool {
        let id = |file: Metadata| (file.dev(), file.ino());
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(ours)) => id(there) != id(ours),
            _ => true,
        }
    }
}

impl LineSink for Appended {
    fn renewed(&mut self) -> bool {
        if !self.is_moved() {
            return false;
        }
        // Where no new one can be had, a line in the old one is better than none.
        append(&self.path).map(|file| self.file = file).is_ok()
    }
}

impl Write for Appended {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        self.file.write(line)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

/// Whether there is a last line without an end, as far as that can be read.
fn is_torn(path: &Path) -> bool {
    let last = || {
        let mut file =
            File::open(path).ok().filter(|file| file.metadata().is_ok_and(|file| file.is_file()))?;
        file.seek(SeekFrom::End(-1)).ok()?;
        let mut last = [0];
        file.read_exact(&mut last).ok()?;
        Some(last)
    };
    last().is_some_and(|last| last != *b"\n")
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_is_moved_away_is_begun_anew_and_one_that_is_truncated_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let [log, old, gone] = ["log", "old", "gone/log"].map(|name| folder.path().join(name));
        let mut appended = Appended::open(&log).unwrap();
        let mut line = |text: &str| {
            appended.renewed();
            appended.write_all(text.as_bytes()).unwrap();
        };
        line("one\n");
        fs::rename(&log, &old).unwrap();
        line("two\n");
        line("three\n");
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&log).unwrap(), "two\nthree\n");
        File::create(&log).unwrap();
        line("four\n");
        assert_eq!(fs::read_to_string(&log).unwrap(), "four\n");
        fs::remove_file(&log).unwrap();
        line("five\n");
        assert_eq!(fs::read_to_string(&log).unwrap(), "five\n");

        fs::create_dir(gone.parent().unwrap()).unwrap();
        let mut appended = Appended::open(&gone).unwrap();
        fs::rename(gone.parent().unwrap(), folder.path().join("elsewhere")).unwrap();
        assert!(!appended.renewed());
        appended.write_all(b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("elsewhere/log")).unwrap(), "kept\n");
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_begins() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (there, then) in [("", "new\n"), ("old\n", "old\nnew\n"), ("old\nto", "old\nto\nnew\n")] {
            fs::write(file.path(), there).unwrap();
            Appended::open(file.path()).unwrap().write_all(b"new\n").unwrap();
            assert_eq!(fs::read_to_string(file.path()).unwrap(), then);
        }
        assert!(Appended::open(Path::new("/dev/null")).is_ok());
    }
}
