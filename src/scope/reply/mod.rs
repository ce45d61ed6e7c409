//! Cutting an answer to what its caller may see.
//!
//! An answer that cannot be decoded is refused, never passed.

use super::Accept;
use crate::api::Filter;
use crate::lang::Features;
use crate::rejection::{Rejection, UpstreamFault};
use crate::tenant::ScopeMatchers;

/// How one request's answers are cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Which cut.
    pub filter: Filter,
    /// What the caller may see, in the backend's labels.
    pub matchers: ScopeMatchers,
    /// The form the caller is answered in.
    pub accept: Accept,
    /// The features that the operator declares.
    pub features: Features,
}

/// One answer of the backend with status 200, its body whole and not compressed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its content type, lower case, without parameters.
    pub content_type: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// What the caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// 200 with this.
    Found {
        /// The content type.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// Nothing of the caller's is in it: 404, as for an unknown trace.
    NotFound,
}

impl Cut {
    /// Cuts `answers`, one a call, in the order of the calls; `None` for a call that was answered 404.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if an answer is not what the backend is known to send.
    pub fn apply(&self, answers: &[Option<Answer>]) -> Result<Filtered, Rejection> {
        let _ = answers;
        Err(UpstreamFault::Undecodable.into())
    }
}
