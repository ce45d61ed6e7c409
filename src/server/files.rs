//! Open files: how many the system lets us have, and who may have how many of them.
//!
//! A connection is an open file. Callers open theirs as they like, so they get a share, and what is left is for
//! the backends, for health and metrics, and for what we need ourselves.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are for nobody's requests: listeners, event queues, logs, the connections of issuers and of health.
const OURS: usize = 64;
/// Connections of health, metrics and control.
pub(super) const ADMIN: usize = 32;

/// Asks for as many open files as the system allows. Most systems start programs with 1,024, for the sake of programs
/// that use select(2).
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let asked = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, asked) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
}

/// The most connections of callers, and of backends each, so that there are files for all. `None`: the system has no
/// limit.
pub(super) fn share() -> Option<usize> {
    let files = usize::try_from(getrlimit(Resource::Nofile).current?).unwrap_or(usize::MAX);
    Some(half(files))
}

fn half(files: usize) -> usize {
    (files.saturating_sub(OURS) / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_leave_files_for_backends_and_for_us() {
        for files in [OURS + 2, 256, 1024, 1_048_576] {
            assert!(half(files) * 2 + OURS <= files, "{files}");
        }
        assert_eq!((half(0), half(256)), (1, 96));
    }
}
