//! What the three readers share.

pub mod emit;
pub mod error;
pub mod nullable;
pub mod quote;
mod said;
pub mod scoped;
pub mod token;

pub(in crate::lang) use said::after_matcher;
pub(crate) use said::is_pattern;
