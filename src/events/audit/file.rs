//! The file that lines are appended to.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that another program may move away, as rotation does: what comes then goes to a new one.
pub(super) struct Appended {
    path: PathBuf,
    file: File,
}

impl Appended {
    /// Opens the file at `path`, or makes it.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), file: append(path)? })
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

impl Write for Appended {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        // Where no new one can be had, a line in the old one is better than none.
        if self.is_moved()
            && let Ok(file) = append(&self.path)
        {
            self.file = file;
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
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
        let mut line = |text: &str| appended.write_all(text.as_bytes()).unwrap();
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
        appended.write_all(b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("elsewhere/log")).unwrap(), "kept\n");
    }
}
