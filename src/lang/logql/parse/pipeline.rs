//! Pipelines and their stages.

use super::selector::{match_operator, matcher, selector};
use super::{At, Output, capture, filter, identifier, index, string};
use crate::lang::QueryError;
use crate::lang::logql::lex::Kind;
use crate::lang::logql::tree::{
    Extraction, LabelFormat, LineOperator, LineText, LogQuery, Named, Slice, Stage,
};

/// `{…}` and the stages after it.
pub(super) fn log_query(at: &mut At<'_>, out: &mut Output<'_>, absent: bool) -> Result<LogQuery, QueryError> {
    let selector = selector(at, out, absent)?;
    Ok(LogQuery { selector, stages: pipeline(at, out)? })
}

/// Stages, as many as there are; `| unwrap` is none.
pub(super) fn pipeline(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Slice, QueryError> {
    let from = index(out.tree.stages.len());
    loop {
        let stage = match at.peek() {
            Some(Kind::Pipe) if at.peek_at(1) != Some(Kind::Unwrap) => {
                at.bump();
                stage(at, out)?
            }
            // After a selector `!=` and `!~` are line filters and never operators: the generator shifts.
            Some(kind) => match line_operator(kind) {
                Some(operator) => line_filter(at, out, operator)?,
                None => break,
            },
            None => break,
        };
        out.tree.stages.push(stage);
    }
    Ok(Slice { from, to: index(out.tree.stages.len()) })
}

fn line_operator(kind: Kind) -> Option<LineOperator> {
    Some(match kind {
        Kind::PipeExact => LineOperator::Contains,
        Kind::NotEqual => LineOperator::ContainsNot,
        Kind::PipeMatch => LineOperator::Match,
        Kind::NotMatch => LineOperator::NotMatch,
        Kind::PipePattern => LineOperator::Pattern,
        Kind::NotPattern => LineOperator::NotPattern,
        _ => return None,
    })
}

/// `|= "a" or ip("b")`
fn line_filter<'a>(
    at: &mut At<'_>,
    out: &mut Output<'a>,
    operator: LineOperator,
) -> Result<Stage<'a>, QueryError> {
    let from = index(out.tree.lines.len());
    at.bump();
    loop {
        let ip = at.peek() == Some(Kind::Ip);
        let text = if ip { address(at, out)? } else { string(at, out)? };
        out.tree.lines.push(LineText { ip, text });
        if at.eat(Kind::Or).is_none() {
            break;
        }
    }
    Ok(Stage::Line { operator, alternatives: Slice { from, to: index(out.tree.lines.len()) } })
}

/// `ip("…")`
pub(super) fn address<'a>(
    at: &mut At<'_>,
    out: &Output<'a>,
) -> Result<crate::lang::logql::tree::Text<'a>, QueryError> {
    at.expect(Kind::Ip, "`ip`")?;
    at.expect(Kind::OpenParenthesis, "`(`")?;
    let text = string(at, out)?;
    at.expect(Kind::CloseParenthesis, "`)`")?;
    Ok(text)
}

/// What follows `|`.
fn stage<'a>(at: &mut At<'_>, out: &mut Output<'a>) -> Result<Stage<'a>, QueryError> {
    let kind = at.peek();
    let named = kind == Some(Kind::Identifier) && !matches!(at.peek_at(1), Some(k) if compares(k));
    match kind {
        _ if named => return Err(unknown(at, out)),
        Some(Kind::Identifier | Kind::OpenParenthesis) => {
            return filter::label_filter(at, out).map(Stage::Label);
        }
        _ => at.bump(),
    };
    Ok(match kind {
        Some(Kind::Json) => Stage::Json(extractions(at, out)?),
        Some(Kind::Logfmt) => logfmt(at, out)?,
        Some(Kind::Regexp) => Stage::Regexp(capture::regexp(at, out)?),
        Some(Kind::Pattern) => Stage::Pattern(capture::pattern(at, out)?),
        Some(Kind::Unpack) => Stage::Unpack,
        Some(Kind::LineFormat) => Stage::LineFormat(string(at, out)?),
        Some(Kind::LabelFormat) => Stage::LabelFormat(label_formats(at, out)?),
        Some(Kind::Decolorize) => Stage::Decolorize,
        Some(Kind::Drop) => Stage::Drop(named_labels(at, out)?),
        Some(Kind::Keep) => Stage::Keep(named_labels(at, out)?),
        _ => return Err(QueryError::syntax(at.before(), "expected a stage or a label filter after `|`")),
    })
}

/// Whether a label filter's label may stand before `kind`.
fn compares(kind: Kind) -> bool {
    match_operator(kind).is_some() || filter::comparison(kind).is_some()
}

/// The refusal of a word that is neither a stage nor the label of a filter.
fn unknown(at: &At<'_>, out: &Output<'_>) -> QueryError {
    let span = at.here();
    let word = crate::lang::core::token::shortened(span.of(out.text));
    QueryError::unsupported(span, format!("`{word}` is no stage, and no comparison follows it"))
}

fn logfmt<'a>(at: &mut At<'_>, out: &mut Output<'a>) -> Result<Stage<'a>, QueryError> {
    let (mut strict, mut keep_empty) = (false, false);
    loop {
        match at.peek() {
            Some(Kind::Strict) => strict = true,
            Some(Kind::KeepEmpty) => keep_empty = true,
            _ => break,
        }
        at.bump();
    }
    Ok(Stage::Logfmt { strict, keep_empty, extractions: extractions(at, out)? })
}

/// `a="b", c`, or nothing.
fn extractions(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Slice, QueryError> {
    let from = index(out.tree.extractions.len());
    if at.peek() == Some(Kind::Identifier) {
        loop {
            let label = identifier(at, out, "a label")?;
            let path = if at.eat(Kind::Equal).is_some() { Some(string(at, out)?) } else { None };
            out.tree.extractions.push(Extraction { label, path });
            if at.eat(Kind::Comma).is_none() {
                break;
            }
        }
    }
    Ok(Slice { from, to: index(out.tree.extractions.len()) })
}

/// `a=b, c="{{.d}}"`
fn label_formats(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Slice, QueryError> {
    let from = index(out.tree.formats.len());
    loop {
        let label = identifier(at, out, "a label")?;
        at.expect(Kind::Equal, "`=`")?;
        let format = if at.peek() == Some(Kind::Identifier) {
            LabelFormat::Rename { to: label, from: identifier(at, out, "a label")? }
        } else {
            LabelFormat::Template { label, template: string(at, out)? }
        };
        out.tree.formats.push(format);
        if at.eat(Kind::Comma).is_none() {
            return Ok(Slice { from, to: index(out.tree.formats.len()) });
        }
    }
}

/// `a, b="c"`. `drop a != "b"` is a matcher, not a line filter: the generator shifts.
fn named_labels(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Slice, QueryError> {
    let from = index(out.tree.named.len());
    loop {
        let matches = at.peek_at(1).and_then(match_operator).is_some();
        let named = if matches {
            Named::Matcher(matcher(at, out)?)
        } else {
            Named::Label(identifier(at, out, "a label")?)
        };
        out.tree.named.push(named);
        if at.eat(Kind::Comma).is_none() {
            return Ok(Slice { from, to: index(out.tree.named.len()) });
        }
    }
}
