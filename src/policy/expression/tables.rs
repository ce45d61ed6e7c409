//! The tables that expressions look things up in.

use super::{ENV, MAPS};
use crate::policy::maps::Table;
use cel::common::ast::{CallExpr, Expr, operators};
use cel::{Context, IdedExpr, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The tables that expressions look things up in: for each name, for each key a list of texts.
pub(in crate::policy) struct Tables {
    pub(super) tables: BTreeMap<String, Table>,
    /// The variable, made once; the claims of each token are beside it.
    pub(super) context: Context<'static, 'static>,
    /// Elements of the longest list.
    pub(super) widest: usize,
}

impl Tables {
    pub fn new(tables: BTreeMap<String, Table>) -> Self {
        let mut context = Context::with_env(Arc::clone(&ENV));
        let texts = |texts: &Vec<String>| {
            Value::List(Arc::new(texts.iter().map(|text| Value::String(Arc::new(text.clone()))).collect()))
        };
        let table = |table: &Table| {
            let lists: HashMap<String, Value> =
                table.iter().map(|(key, v)| (key.clone(), texts(v))).collect();
            Value::Map(lists.into())
        };
        let all: HashMap<String, Value> = tables.iter().map(|(name, t)| (name.clone(), table(t))).collect();
        context.add_variable_from_value(MAPS, Value::Map(all.into()));
        let widest = tables.values().flat_map(Table::values).map(Vec::len).max().unwrap_or(0);
        Self { tables, context, widest }
    }

    /// The names of those that differ from those `before`.
    pub fn changed<'t>(&'t self, before: &'t Self) -> impl Iterator<Item = &'t str> {
        let names: BTreeSet<&String> = self.tables.keys().chain(before.tables.keys()).collect();
        let differs = |name: &&String| self.tables.get(*name) != before.tables.get(*name);
        names.into_iter().filter(differs).map(String::as_str)
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

/// The table and the key of `KEY in maps.NAME` or `maps.NAME[KEY]`, which are all that may be asked of one: nothing goes
/// through a whole table.
pub(super) fn looked_up(call: &CallExpr) -> Option<(&str, &IdedExpr)> {
    let (table, key) = match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::INDEX, [table, key]) | (operators::IN, [key, table]) => (table, key),
        _ => return None,
    };
    let Expr::Select(select) = &table.expr else { return None };
    let of_maps = matches!(&select.operand.expr, Expr::Ident(name) if name == MAPS);
    (of_maps && !select.test).then_some((&select.field, key))
}
