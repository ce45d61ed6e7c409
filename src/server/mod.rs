//! Listeners and the stack of stages behind them.

pub mod admin;
pub mod listen;
pub mod stack;
