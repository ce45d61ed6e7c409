//! The functions of Prometheus 3.16, as `promql/parser/functions.go` declares them.
//!
//! A closed list: `info` shows that a function may read series by itself, so one that is not known is
//! refused by name.

use Type::{Range, Scalar, Text, Vector};

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// One number.
    Scalar,
    /// An instant vector.
    Vector,
    /// A range vector.
    Range,
    /// A string.
    Text,
}

impl Type {
    /// The name that the documentation of Prometheus uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Range => "range vector",
            Self::Text => "string",
        }
    }
}

/// One function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name; case counts.
    pub name: &'static str,
    /// The types of its arguments; those beyond the list have the last type.
    pub arguments: &'static [Type],
    /// The least number of arguments.
    pub least: usize,
    /// The greatest number of arguments.
    pub most: usize,
    /// What it yields.
    pub returns: Type,
    /// Needs `promql-experimental-functions`.
    pub experimental: bool,
}

impl Function {
    /// The function called `name`.
    pub fn of(name: &str) -> Option<&'static Self> {
        let index = FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok()?;
        FUNCTIONS.get(index)
    }

    /// Whether it turns the equality matchers of its argument into labels: `absent` and
    /// `absent_over_time` (`promql/functions.go`, `createLabelsForAbsentFunction`).
    pub fn shows_matchers(&self) -> bool {
        matches!(self.name, "absent" | "absent_over_time")
    }
}

const fn stable(
    name: &'static str,
    arguments: &'static [Type],
    least: usize,
    most: usize,
    returns: Type,
) -> Function {
    Function { name, arguments, least, most, returns, experimental: false }
}

const fn experimental(
    name: &'static str,
    arguments: &'static [Type],
    least: usize,
    most: usize,
    returns: Type,
) -> Function {
    Function { name, arguments, least, most, returns, experimental: true }
}

/// Sorted by name. `info` is missing: it reads `target_info` of every tenant.
static FUNCTIONS: [Function; 90] = [
    stable("abs", &[Vector], 1, 1, Vector),
    stable("absent", &[Vector], 1, 1, Vector),
    stable("absent_over_time", &[Range], 1, 1, Vector),
    stable("acos", &[Vector], 1, 1, Vector),
    stable("acosh", &[Vector], 1, 1, Vector),
    stable("asin", &[Vector], 1, 1, Vector),
    stable("asinh", &[Vector], 1, 1, Vector),
    stable("atan", &[Vector], 1, 1, Vector),
    stable("atanh", &[Vector], 1, 1, Vector),
    stable("avg_over_time", &[Range], 1, 1, Vector),
    stable("ceil", &[Vector], 1, 1, Vector),
    stable("changes", &[Range], 1, 1, Vector),
    stable("clamp", &[Vector, Scalar, Scalar], 3, 3, Vector),
    stable("clamp_max", &[Vector, Scalar], 2, 2, Vector),
    stable("clamp_min", &[Vector, Scalar], 2, 2, Vector),
    stable("cos", &[Vector], 1, 1, Vector),
    stable("cosh", &[Vector], 1, 1, Vector),
    stable("count_over_time", &[Range], 1, 1, Vector),
    stable("day_of_month", &[Vector], 0, 1, Vector),
    stable("day_of_week", &[Vector], 0, 1, Vector),
    stable("day_of_year", &[Vector], 0, 1, Vector),
    stable("days_in_month", &[Vector], 0, 1, Vector),
    stable("deg", &[Vector], 1, 1, Vector),
    stable("delta", &[Range], 1, 1, Vector),
    stable("deriv", &[Range], 1, 1, Vector),
    experimental("double_exponential_smoothing", &[Range, Scalar, Scalar], 3, 3, Vector),
    experimental("end", &[], 0, 0, Scalar),
    stable("exp", &[Vector], 1, 1, Vector),
    stable("first_over_time", &[Range], 1, 1, Vector),
    stable("floor", &[Vector], 1, 1, Vector),
    stable("histogram_avg", &[Vector], 1, 1, Vector),
    stable("histogram_count", &[Vector], 1, 1, Vector),
    stable("histogram_fraction", &[Scalar, Scalar, Vector], 3, 3, Vector),
    stable("histogram_quantile", &[Scalar, Vector], 2, 2, Vector),
    experimental("histogram_quantiles", &[Vector, Text, Scalar, Scalar], 3, 12, Vector),
    stable("histogram_stddev", &[Vector], 1, 1, Vector),
    stable("histogram_stdvar", &[Vector], 1, 1, Vector),
    stable("histogram_sum", &[Vector], 1, 1, Vector),
    stable("hour", &[Vector], 0, 1, Vector),
    stable("idelta", &[Range], 1, 1, Vector),
    stable("increase", &[Range], 1, 1, Vector),
    experimental("integral", &[Range, Scalar], 1, 2, Vector),
    stable("irate", &[Range], 1, 1, Vector),
    stable("label_join", &[Vector, Text, Text, Text], 3, usize::MAX, Vector),
    stable("label_replace", &[Vector, Text, Text, Text, Text], 5, 5, Vector),
    stable("last_over_time", &[Range], 1, 1, Vector),
    stable("ln", &[Vector], 1, 1, Vector),
    stable("log10", &[Vector], 1, 1, Vector),
    stable("log2", &[Vector], 1, 1, Vector),
    experimental("mad_over_time", &[Range], 1, 1, Vector),
    experimental("max_of", &[Scalar, Scalar], 2, 2, Scalar),
    stable("max_over_time", &[Range], 1, 1, Vector),
    experimental("min_of", &[Scalar, Scalar], 2, 2, Scalar),
    stable("min_over_time", &[Range], 1, 1, Vector),
    stable("minute", &[Vector], 0, 1, Vector),
    stable("month", &[Vector], 0, 1, Vector),
    stable("pi", &[], 0, 0, Scalar),
    stable("predict_linear", &[Range, Scalar], 2, 2, Vector),
    stable("present_over_time", &[Range], 1, 1, Vector),
    stable("quantile_over_time", &[Scalar, Range], 2, 2, Vector),
    stable("rad", &[Vector], 1, 1, Vector),
    experimental("range", &[], 0, 0, Scalar),
    stable("rate", &[Range], 1, 1, Vector),
    stable("resets", &[Range], 1, 1, Vector),
    stable("round", &[Vector, Scalar], 1, 2, Vector),
    stable("scalar", &[Vector], 1, 1, Scalar),
    stable("sgn", &[Vector], 1, 1, Vector),
    stable("sin", &[Vector], 1, 1, Vector),
    stable("sinh", &[Vector], 1, 1, Vector),
    stable("sort", &[Vector], 1, 1, Vector),
    experimental("sort_by_label", &[Vector, Text], 1, usize::MAX, Vector),
    experimental("sort_by_label_desc", &[Vector, Text], 1, usize::MAX, Vector),
    stable("sort_desc", &[Vector], 1, 1, Vector),
    stable("sqrt", &[Vector], 1, 1, Vector),
    experimental("start", &[], 0, 0, Scalar),
    experimental("start_timestamp", &[Vector], 1, 1, Vector),
    stable("stddev_over_time", &[Range], 1, 1, Vector),
    stable("stdvar_over_time", &[Range], 1, 1, Vector),
    experimental("step", &[], 0, 0, Scalar),
    stable("sum_over_time", &[Range], 1, 1, Vector),
    stable("tan", &[Vector], 1, 1, Vector),
    stable("tanh", &[Vector], 1, 1, Vector),
    stable("time", &[], 0, 0, Scalar),
    stable("timestamp", &[Vector], 1, 1, Vector),
    experimental("ts_of_first_over_time", &[Range], 1, 1, Vector),
    experimental("ts_of_last_over_time", &[Range], 1, 1, Vector),
    experimental("ts_of_max_over_time", &[Range], 1, 1, Vector),
    experimental("ts_of_min_over_time", &[Range], 1, 1, Vector),
    stable("vector", &[Scalar], 1, 1, Vector),
    stable("year", &[Vector], 0, 1, Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_its_name() {
        assert!(FUNCTIONS.windows(2).all(|pair| matches!(pair, [a, b] if a.name < b.name)));
        assert!(FUNCTIONS.iter().all(|f| Function::of(f.name) == Some(f)));
        assert!(FUNCTIONS.iter().all(|f| f.least <= f.most));
    }

    #[test]
    fn info_and_the_unknown_are_no_functions() {
        for name in ["info", "Rate", "rat", "", "holt_winters", "sum"] {
            assert_eq!(Function::of(name), None, "{name}");
        }
    }
}
