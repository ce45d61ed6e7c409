//! Work that takes a while, beside the threads that serve requests.

use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Takes turns: as many work at once as can. More would only share the cores with the threads that serve, and each of them
/// keeps memory of its own.
pub(crate) struct Turns(LazyLock<Arc<Semaphore>>);

/// To read a whole answer, decompress it, or cut it: up to some tenths of a second.
pub(crate) static WHOLE: Turns = Turns::new();

/// To make the next part of an answer, which does not wait for whole ones.
pub(crate) static PART: Turns = Turns::new();

impl Turns {
    const fn new() -> Self {
        Self(LazyLock::new(|| {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            Arc::new(Semaphore::new(cores))
        }))
    }

    /// Does `work` on a thread that serves no request meanwhile, when it is its turn; not at all, if nobody waits for it
    /// any more before that.
    ///
    /// # Errors
    /// If it panics.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // It is never closed.
        let turn = Arc::clone(&*self.0).acquire_owned().await.ok();
        let done = spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn no_more_work_at_once_than_there_are_cores() {
        let cores = std::thread::available_parallelism().unwrap().get();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..4 * cores {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            all.spawn(WHOLE.work(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                now.fetch_sub(1, Ordering::SeqCst);
            }));
        }
        assert!(all.join_all().await.iter().all(Result::is_ok));
        assert!(most.load(Ordering::SeqCst) <= cores);
    }
}
