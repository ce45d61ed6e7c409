//! What the three readers share.

pub mod emit;
pub mod error;
pub mod nullable;
pub mod quote;
pub mod scoped;
pub mod token;
