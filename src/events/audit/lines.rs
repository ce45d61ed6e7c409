//! Lines written whole, one after the other, whatever the disk does.

use super::{Record, WhenFull};
use metrics::Counter;
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long is waited after the first fault; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a server that stops may take to get rid of its last lines.
const LAST_TRIES: Duration = Duration::from_secs(5);

/// What lines are written to.
pub(super) trait LineSink: Write {
    /// Whether it is another from now on, in which there is nothing of a line that was begun.
    fn renewed(&mut self) -> bool {
        false
    }
}

impl LineSink for std::io::Stdout {}

/// Where lines are written.
pub(super) struct Lines<W> {
    sink: W,
    when_full: WhenFull,
    /// Whether a line waits here that cannot be written.
    stuck: Arc<AtomicBool>,
    lost: Counter,
    /// Whether the last line ended in its middle, for good.
    torn: bool,
    /// When a server that stops gives up its last lines.
    given_up_at: Option<Instant>,
}

impl<W: LineSink> Lines<W> {
    /// Lines that go to `sink`. Where requests wait for them, `stuck` tells that one cannot be written, and it is
    /// tried until it is; else `lost` counts it.
    pub fn new(sink: W, when_full: WhenFull, stuck: Arc<AtomicBool>, lost: Counter) -> Self {
        Self { sink, when_full, stuck, lost, torn: false, given_up_at: None }
    }

    /// Writes what comes until nothing more does.
    pub fn write(&mut self, mut records: mpsc::Receiver<Box<Record>>) {
        while let Some(record) = records.blocking_recv() {
            self.line(record.line(), || records.is_closed());
        }
    }

    /// Writes one line. What of it is written stays: the rest follows when it can.
    fn line(&mut self, mut line: String, stops: impl Fn() -> bool) {
        line.push('\n');
        let renewed = self.sink.renewed();
        if std::mem::take(&mut self.torn) && !renewed {
            line.insert(0, '\n');
        }
        let (mut rest, mut pause) = (line.as_bytes(), FIRST_PAUSE);
        while let Err(error) = self.push(&mut rest) {
            let waits = self.when_full == WhenFull::Block;
            if !self.stuck.swap(waits, Ordering::Relaxed) {
                tracing::error!(%error, "the audit log cannot be written");
            }
            if stops() {
                self.given_up_at.get_or_insert_with(|| Instant::now() + LAST_TRIES);
            }
            if !waits || self.given_up_at.is_some_and(|at| at < Instant::now() + pause) {
                // One of which nothing is there is no torn one, and where only the end of a torn one is there, it has ended.
                self.torn = rest.len() != line.trim_start().len();
                return self.lost.increment(1);
            }
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            if self.sink.renewed() {
                rest = line.trim_start().as_bytes();
            }
        }
        if self.stuck.swap(false, Ordering::Relaxed) {
            tracing::info!("the audit log is written again");
        }
    }

    /// Writes as much of `rest` as can be, and takes it off.
    fn push(&mut self, rest: &mut &[u8]) -> std::io::Result<()> {
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => *rest = rest.get(length..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sink.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A disk that takes so many bytes at each write, or none; as a full one is cleared, it may be another then.
    struct Disk {
        written: Vec<u8>,
        takes: VecDeque<usize>,
        cleared: bool,
    }

    impl LineSink for Disk {
        fn renewed(&mut self) -> bool {
            let renewed = self.cleared && self.takes.is_empty();
            if renewed {
                self.written.clear();
            }
            renewed
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match self.takes.pop_front() {
                Some(0) => Err(ErrorKind::StorageFull.into()),
                takes => {
                    let taken = takes.unwrap_or(bytes.len()).min(bytes.len());
                    self.written.extend_from_slice(bytes.get(..taken).unwrap());
                    Ok(taken)
                }
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What a disk that takes these has in the end of the lines `one`, `two` and `three`, and which line was stuck.
    fn written(when_full: WhenFull, takes: &[usize], cleared: bool) -> String {
        let disk = Disk { written: Vec::new(), takes: takes.iter().copied().collect(), cleared };
        let stuck = Arc::new(AtomicBool::new(false));
        let mut lines = Lines::new(disk, when_full, Arc::clone(&stuck), Counter::noop());
        for line in ["one", "two", "three"] {
            lines.line(line.to_owned(), || false);
        }
        assert!(!stuck.load(Ordering::Relaxed));
        String::from_utf8(lines.sink.written).unwrap()
    }

    #[test]
    fn a_line_that_waits_is_written_on_where_it_broke_off() {
        for takes in [&[0][..], &[2, 0, 0], &[4, 3, 0, 1, 0], &[1, 1, 1, 1, 1]] {
            assert_eq!(written(WhenFull::Block, takes, false), "one\ntwo\nthree\n", "{takes:?}");
        }
    }

    #[test]
    fn a_line_that_is_dropped_is_no_part_of_the_next() {
        assert_eq!(written(WhenFull::Drop, &[0], false), "two\nthree\n");
        assert_eq!(written(WhenFull::Drop, &[2, 0], false), "on\ntwo\nthree\n");
        assert_eq!(written(WhenFull::Drop, &[2, 0, 0], false), "on\nthree\n");
    }

    #[test]
    fn a_line_that_was_begun_in_another_file_is_written_whole_in_the_new_one() {
        assert_eq!(written(WhenFull::Block, &[4, 4, 2, 0], true), "three\n");
    }

    #[test]
    fn a_server_that_stops_gives_up_after_a_while() {
        let disk = Disk { written: Vec::new(), takes: VecDeque::from([0; 64]), cleared: false };
        let mut lines = Lines::new(disk, WhenFull::Block, Arc::default(), Counter::noop());
        lines.given_up_at = Some(Instant::now());
        let began = Instant::now();
        lines.line("one".to_owned(), || true);
        lines.line("two".to_owned(), || true);
        assert!(began.elapsed() < LAST_TRIES && lines.sink.written.is_empty());
    }
}
