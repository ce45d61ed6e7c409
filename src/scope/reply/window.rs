//! What a search over shared traces asked for, decided again by what is visible.
//!
//! Tempo finds a trace by the range of all its spans (`createTraceIterator` in
//! `tempodb/encoding/vparquet4/block_traceql.go`), and orders and chooses by the start of all of them
//! (`MetadataCombiner` in `pkg/traceql/combine.go`). Where traces hold spans of several tenants, that tells when
//! others' spans are. So more is asked for than the caller is shown, and range, order and choice are made from
//! the spans that are the caller's.

use std::cmp::Reverse;

/// How many traces a search finds that asks for no number (`default_result_limit` of Tempo 2.x and 3.x).
const TRACES: usize = 20;

/// How many spans of each set are shown to a search that asks for no number (`DefaultSpansPerSpanSet` in
/// `pkg/traceql/engine.go`).
const SPANS: usize = 3;

/// How many traces more are asked for than are shown: so many can be found by the times of others' spans alone
/// before what is shown is less than what there is.
pub const FURTHER_TRACES: usize = 100;

/// How many spans of each set are asked for at least, so that a trace begins with the first of many. Tempo takes
/// up to 100 unless it is told otherwise (`max_spans_per_span_set`).
const LEAST_SPANS: usize = 20;

/// Range, traces and spans that a search over shared traces asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First and last nanosecond since 1970, if a range was asked for.
    range: Option<(u64, u64)>,
    /// How many traces are shown.
    traces: usize,
    /// How many spans of each set are shown.
    spans: usize,
}

impl Window {
    /// All times, all traces, all spans.
    pub const ANY: Self = Self { range: None, traces: usize::MAX, spans: usize::MAX };

    /// What the parameters of a search say. What cannot be read here Tempo refuses.
    pub fn new(start: Option<&str>, end: Option<&str>, limit: Option<&str>, spans: Option<&str>) -> Self {
        let seconds = |text: Option<&str>| text?.parse::<u32>().ok().filter(|seconds| *seconds > 0);
        let nanoseconds = |seconds: u32| u64::from(seconds) * 1_000_000_000;
        let range = seconds(start).zip(seconds(end)).map(|(s, e)| (nanoseconds(s), nanoseconds(e)));
        let number = |text: Option<&str>, usual: usize| match text.map(str::parse) {
            None => usual,
            Some(Ok(0) | Err(_)) => usize::MAX,
            Some(Ok(number)) => number,
        };
        Self { range, traces: number(limit, TRACES), spans: number(spans, SPANS) }
    }

    /// The same for at most `most` traces.
    #[must_use]
    pub fn at_most(self, most: u64) -> Self {
        Self { traces: self.traces.min(usize::try_from(most).unwrap_or(usize::MAX)), ..self }
    }

    /// The number of traces to ask for; none where the caller's own stands.
    pub fn traces_asked(&self) -> Option<usize> {
        self.traces.checked_add(FURTHER_TRACES).filter(|traces| u32::try_from(*traces).is_ok())
    }

    /// The number of spans of each set to ask for; none where the caller's own stands.
    pub fn spans_asked(&self) -> Option<usize> {
        (self.spans < LEAST_SPANS).then_some(LEAST_SPANS)
    }

    /// Whether spans from `start` to `end`, in nanoseconds since 1970, touch the range, both its ends included.
    pub(super) fn has(&self, start: u64, end: u64) -> bool {
        self.range.is_none_or(|(first, last)| start <= last && end >= first)
    }

    /// Orders the spans of a set by their start, the first first, then by id, and leaves those that are shown. Tempo
    /// leaves those that come first in what it stores, where others' come between.
    pub(super) fn shown<S>(&self, spans: &mut Vec<S>, start: impl Fn(&S) -> u64, id: impl Fn(&S) -> &[u8]) {
        spans.sort_by(|a, b| start(a).cmp(&start(b)).then_with(|| id(a).cmp(id(b))));
        spans.truncate(self.spans);
    }

    /// Orders `traces` by their start, the last first as Tempo does, then by id, and leaves those that are shown.
    pub(super) fn chosen<T>(&self, traces: &mut Vec<T>, start: impl Fn(&T) -> u64, id: impl Fn(&T) -> &[u8]) {
        traces.sort_by(|a, b| Reverse(start(a)).cmp(&Reverse(start(b))).then_with(|| id(a).cmp(id(b))));
        traces.truncate(self.traces);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(window: Window, starts: &[u64]) -> Vec<u64> {
        let mut starts = starts.to_vec();
        window.chosen(&mut starts, |start| *start, |_| b"");
        starts
    }

    #[test]
    fn a_window_is_what_the_parameters_say() {
        let window = |start, end, limit, spans| Window::new(start, end, limit, spans);
        let usual = window(None, None, None, None);
        assert_eq!((usual.traces_asked(), usual.spans_asked()), (Some(120), Some(20)));
        let said = window(Some("1"), Some("2"), Some("5"), Some("20"));
        assert_eq!((said.traces_asked(), said.spans_asked()), (Some(105), None));
        assert_eq!(window(None, None, None, Some("19")).spans_asked(), Some(20));
        // What Tempo refuses is left as it is, for Tempo to refuse.
        let odd = window(Some("x"), Some("-1"), Some("0"), Some("4294967296"));
        assert_eq!((odd.traces_asked(), odd.spans_asked()), (None, None));
        assert_eq!(window(None, None, Some("4294967290"), None).traces_asked(), None);
        assert!(odd.has(0, 0));
        assert_eq!(said.at_most(3).traces_asked(), Some(103));
        assert_eq!(said.at_most(7), said);
    }

    #[test]
    fn atk_62_a_trace_is_in_the_range_by_what_is_visible() {
        const SECOND: u64 = 1_000_000_000;
        let window = Window::new(Some("10"), Some("20"), None, None);
        for (start, end, has) in [
            (10 * SECOND, 10 * SECOND, true),
            (20 * SECOND, 30 * SECOND, true),
            (20 * SECOND + 1, 30 * SECOND, false),
            (0, 10 * SECOND - 1, false),
            (0, 30 * SECOND, true),
        ] {
            assert_eq!(window.has(start, end), has, "{start} {end}");
        }
        // Tempo takes one end alone for none.
        assert!(Window::new(Some("10"), None, None, None).has(0, 1));
    }

    #[test]
    fn atk_63_order_and_choice_are_by_what_is_visible() {
        let window = Window::new(None, None, Some("3"), None);
        assert_eq!(shown(window, &[1, 4, 2]), [4, 2, 1]);
        assert_eq!(shown(window, &[1, 4, 2, 3]), [4, 3, 2]);
        let mut alike = vec!["b", "a"];
        window.chosen(&mut alike, |_| 1, |id| id.as_bytes());
        assert_eq!(alike, ["a", "b"]);
    }

    #[test]
    fn atk_63_which_spans_are_shown_is_by_what_is_visible() {
        for (most, left) in [("2", &[(1, "b"), (2, "a")][..]), ("3", &[(1, "b"), (2, "a"), (2, "c")])] {
            let mut spans = vec![(2, "c"), (2, "a"), (1, "b")];
            let window = Window::new(None, None, None, Some(most));
            window.shown(&mut spans, |span| span.0, |span| span.1.as_bytes());
            assert_eq!(spans, left);
        }
    }
}
