//! Operators and functions.

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the sign or word it is named after
pub enum BinaryOperator {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

/// What is computed over a range of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the function it is named after, `…_over_time` where that is its name
pub enum RangeFunction {
    Rate,
    RateCounter,
    Count,
    BytesRate,
    Bytes,
    Avg,
    Sum,
    Min,
    Max,
    Stdvar,
    Stddev,
    Quantile,
    First,
    Last,
    Absent,
}

/// What is computed over a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the function it is named after
pub enum VectorFunction {
    Sum,
    Avg,
    Max,
    Min,
    Count,
    Stddev,
    Stdvar,
    BottomK,
    TopK,
    ApproxTopK,
    Sort,
    SortDesc,
}

/// How an unwrapped label becomes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the function it is named after
pub enum Conversion {
    Bytes,
    Duration,
    DurationSeconds,
}
