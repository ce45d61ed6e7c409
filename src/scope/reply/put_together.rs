//! Answers put together, for tests; and that it makes no difference how far they are taken apart.

use super::{Answer, Cut, Filtered, LARGE_BYTES, Reply};
use crate::budget::Budget;
use crate::rejection::{Rejection, UpstreamFault};
use crate::scope::snappy;
use std::sync::Arc;

impl Cut {
    /// What the caller gets, put together.
    ///
    /// # Errors
    /// As [`Cut::make`].
    ///
    /// # Panics
    /// If it is another where all is taken apart.
    pub fn apply(&self, answers: &[Option<Answer>]) -> Result<Filtered, Rejection> {
        let [whole, apart] = [LARGE_BYTES, 0].map(|large| {
            let budget = Budget::of(usize::MAX);
            let made = self.make_apart(answers.to_vec(), budget.permit(Arc::default()), large);
            let put = made.map(put_together);
            assert_eq!(budget.taken(), 0, "memory is given back");
            put
        });
        same(&whole, &apart);
        whole
    }
}

fn put_together(reply: Reply) -> Filtered {
    match reply {
        Reply::Found { content_type, made, snappy } => {
            let bytes = made.bytes();
            let body = made.whole().expect("the same again");
            assert_eq!(body.len(), bytes);
            match snappy {
                true => Filtered::Snappy { content_type, body: snappy::compress(&body).expect("a block") },
                false => Filtered::Found { content_type, body },
            }
        }
        Reply::Done => Filtered::Done,
        Reply::NotFound => Filtered::NotFound,
    }
}

/// Means the same, if members and fields stand in another order.
fn same(one: &Result<Filtered, Rejection>, other: &Result<Filtered, Rejection>) {
    let (Ok(Filtered::Found { content_type, body }), Ok(Filtered::Found { content_type: also, body: again })) =
        (one, other)
    else {
        // Levels of nesting are counted from where a part of a trace begins: it can have two more.
        let deeper =
            *one == Err(UpstreamFault::Undecodable.into()) && matches!(other, Ok(Filtered::Found { .. }));
        return assert!(deeper || one == other, "{one:?} {other:?}");
    };
    assert_eq!(content_type, also);
    match *content_type {
        "application/json" => {
            // What nests deeply is not read again.
            let read = |body| serde_json::from_slice::<serde_json::Value>(body).ok();
            assert_eq!((body.len(), read(body)), (again.len(), read(again)));
        }
        // Fields of a message are known only with its type: the order of a trace's differs.
        "application/protobuf" => assert_eq!(body.len(), again.len()),
        _ => assert_eq!(body, again),
    }
}
