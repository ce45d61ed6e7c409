//! When two answers count as equal: the rules of `equal.toml` and `random.toml`, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::http::Answer;
use crate::protobuf;

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The endpoint's name.
    pub endpoint: &'a str,
    /// The case's name.
    pub case: &'a str,
    /// The mount.
    pub mount: &'a str,
    /// The parameters, where they are known.
    pub params: &'a [(String, String)],
}

/// How one place of an endpoint's answers is compared.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Treat {
    /// A list without a promised order: equal as a bag.
    Unordered,
    /// Numbers, also written as strings, equal to within 1e-9 of their size.
    #[serde(rename = "1e-9")]
    Close,
    /// The same number, which each side may have counted once, twice or three times.
    #[serde(rename = "one to three times")]
    OneToThreeTimes,
    /// An empty list is the same as nothing.
    #[serde(rename = "empty is nothing")]
    EmptyIsNothing,
    /// Left out on both sides.
    Dropped,
    /// A text that names one of several series: which one does not count.
    #[serde(rename = "any series")]
    AnySeries,
    /// Palisade says `palisade` here, whatever TWIN says.
    Difference,
}

/// One rule; `reason` is for the reader of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// An endpoint's name, or its start followed by `*`.
    endpoint: String,
    /// Only where the backend's version starts so; `!3` where it does not.
    version: Option<String>,
    /// Only for answers of this mount.
    mount: Option<String>,
    /// Keys joined by dots; `*` is any key, `*Time` each that ends so, `[]` any element, `[1]` that one.
    path: String,
    treat: Treat,
    /// Only for the case of this name.
    case: Option<String>,
    /// Only where a parameter of the question holds this text.
    asking: Option<String>,
    /// Only where TWIN says this: a place and its value.
    when: Option<(String, Value)>,
    /// Drops the elements of the list at `path` whose text holds this.
    holding: Option<String>,
    /// What Palisade says at a `difference`; nothing when the field is absent there.
    palisade: Option<Value>,
    reason: String,
}

impl Rule {
    /// Whether it is true of the backends that run.
    fn of(&self, versions: &BTreeMap<String, String>) -> bool {
        let Some(wanted) = &self.version else { return true };
        let kind = self.endpoint.split('.').next().unwrap_or_default();
        let runs = versions.get(kind).map_or("", String::as_str);
        match wanted.strip_prefix('!') {
            Some(other) => !runs.starts_with(other),
            None => runs.starts_with(wanted),
        }
    }

    /// Whether it is about what was asked.
    fn concerns(&self, asked: Asked<'_>) -> bool {
        let endpoint = match self.endpoint.strip_suffix('*') {
            Some(start) => asked.endpoint.starts_with(start),
            None => self.endpoint == asked.endpoint,
        };
        let holds = |text: &String| asked.params.iter().any(|(_, value)| value.contains(text));
        endpoint
            && self.mount.as_deref().is_none_or(|mount| mount == asked.mount)
            && self.case.as_deref().is_none_or(|case| case == asked.case)
            && self.asking.as_ref().is_none_or(holds)
    }

    fn applies(&self, twin: &Value) -> bool {
        self.when.as_ref().is_none_or(|(path, value)| {
            let path: Vec<&str> = path.split('.').collect();
            find(twin, &path) == [value]
        })
    }
}

/// One file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Rule>,
}

/// The rules of `equal.toml` and of `random.toml`.
#[derive(Debug)]
pub struct Rules {
    equal: Vec<Rule>,
    random: Vec<Rule>,
}

/// Headers that tell of the moment, or of the length of a body that is compared itself.
const MOMENT: [&str; 2] = ["date", "content-length"];

impl Rules {
    /// Reads the files that are compiled in: the rules that are true of these versions.
    pub fn load(versions: &BTreeMap<String, String>) -> Result<Self, String> {
        let read = |name: &str, text: &str| {
            let file: File = toml::from_str(text).map_err(|e| format!("{name}: {e}"))?;
            match file.rule.iter().find(|rule| rule.reason.trim().is_empty()) {
                Some(rule) => Err(format!("{name}: `{}` gives no reason", rule.path)),
                None => Ok(file.rule.into_iter().filter(|rule| rule.of(versions)).collect::<Vec<_>>()),
            }
        };
        let rules = Self {
            equal: read("equal.toml", include_str!("equal.toml"))?,
            random: read("random.toml", include_str!("random.toml"))?,
        };
        match rules.random.iter().find(|rule| rule.treat == Treat::Difference || rule.case.is_some()) {
            Some(rule) => Err(format!("random.toml: `{}` is about more than chance", rule.path)),
            None => Ok(rules),
        }
    }

    /// Says where `ours` and `twin` differ by `equal.toml`, if they do. `control` compares two answers of the same backend,
    /// to which no named difference applies.
    pub fn differ(&self, asked: Asked<'_>, ours: &Answer, twin: &Answer, control: bool) -> Option<String> {
        differ(&self.equal, asked, (tree(ours), tree(twin)), control)
    }

    /// Whether an answer is TWIN's in all but what is random.
    pub fn equal(&self, asked: Asked<'_>, ours: &Answer, twin: &Answer) -> bool {
        differ(&self.random, asked, (tree(ours), tree(twin)), true).is_none()
    }

    /// Says where the answers of Palisade before FULL and before TWIN differ in what is not random, if they do.
    pub fn interferes(&self, asked: Asked<'_>, full: &Answer, beside: &Answer) -> Option<String> {
        let whole = |answer: &Answer| {
            let mut tree = tree(answer);
            let told = answer.headers.iter().filter(|(name, _)| !MOMENT.contains(&name.as_str()));
            tree["headers"] = told.map(|(name, value)| Value::from(format!("{name}: {value}"))).collect();
            tree
        };
        differ(&self.random, asked, (whole(full), whole(beside)), true)
    }
}

/// Lists of which a backend can leave some out, or choose among equals.
const CHOSEN: [&str; 3] = ["body.data.result", "body.series", "body.traces"];

impl Rules {
    /// Whether all that was answered before FULL was answered before TWIN as well, and the other way round, where
    /// each was asked several times: the lists of a choice element by element, the rest as a whole.
    pub fn same_choices(&self, asked: Asked<'_>, full: &[Answer], beside: &[Answer]) -> bool {
        let parted = |answers: &[Answer]| {
            let mut all = BTreeSet::new();
            let rests = answers.iter().map(|answer| {
                let mut tree = tree(answer);
                for rule in self.random.iter().filter(|rule| rule.treat == Treat::Dropped) {
                    if rule.concerns(asked) {
                        let path: Vec<&str> = rule.path.split('.').collect();
                        remove(&mut tree, &path, rule.holding.as_deref());
                    }
                }
                for path in CHOSEN.map(|path| path.split('.').collect::<Vec<_>>()) {
                    for list in find(&tree, &path) {
                        list.as_array().into_iter().flatten().for_each(|element| chosen(element, &mut all));
                    }
                    remove(&mut tree, &path, None);
                }
                tree
            });
            let rests: Vec<Value> = rests.collect();
            (all, rests)
        };
        let ((full, rests), (beside, others)) = (parted(full), parted(beside));
        let rules: Vec<(&Rule, Vec<&str>)> = self
            .random
            .iter()
            .filter(|rule| rule.concerns(asked))
            .map(|rule| (rule, rule.path.split('.').collect()))
            .collect();
        let alike =
            |a: &Value, b: &Value| Comparison { rules: &rules }.differ(a, b, &mut Vec::new()).is_none();
        full == beside && rests.iter().any(|rest| others.iter().any(|other| alike(rest, other)))
    }
}

/// What an element of a list of a choice says: of a series each sample with its labels, else the whole.
fn chosen(element: &Value, all: &mut BTreeSet<String>) {
    let labels = &element[if element.get("metric").is_some() { "metric" } else { "labels" }];
    let before = all.len();
    all.extend(samples(element).map(|sample| format!("{labels} {sample}")));
    if all.len() == before && element.get("values").is_none() && element.get("samples").is_none() {
        all.insert(element.to_string());
    }
}

fn samples(series: &Value) -> impl Iterator<Item = &Value> {
    ["values", "samples"].into_iter().filter_map(|name| series.get(name)?.as_array()).flatten()
}

/// The samples of all series of an answer, in order and without labels: among equals a ranking takes any, and shows what it
/// took. With `values`, or how many there are at each time.
pub fn ranked(answer: &Answer, values: bool) -> Vec<String> {
    let tree = tree(answer);
    let series = CHOSEN.iter().flat_map(|path| find(&tree, &path.split('.').collect::<Vec<_>>()));
    let series = series.filter_map(Value::as_array).flatten();
    let of = |series: &Value| samples(series).chain(series.get("value")).cloned().collect::<Vec<_>>();
    let shown = |sample: Value| match (&sample, values) {
        (_, true) => sample.to_string(),
        (Value::Array(pair), false) => pair.first().unwrap_or(&Value::Null).to_string(),
        (_, false) => sample["timestampMs"].to_string(),
    };
    let mut all: Vec<String> = series.flat_map(of).map(shown).collect();
    all.sort();
    all
}

fn differ(
    all: &[Rule],
    asked: Asked<'_>,
    (mut ours, mut twin): (Value, Value),
    control: bool,
) -> Option<String> {
    let rules: Vec<(&Rule, Vec<&str>)> = all
        .iter()
        .filter(|rule| rule.concerns(asked))
        .filter(|rule| !control || rule.treat != Treat::Difference)
        .filter(|rule| rule.applies(&twin))
        .map(|rule| (rule, rule.path.split('.').collect()))
        .collect();
    for (rule, path) in &rules {
        match rule.treat {
            Treat::Dropped => {
                remove(&mut ours, path, rule.holding.as_deref());
                remove(&mut twin, path, rule.holding.as_deref());
            }
            Treat::EmptyIsNothing => {
                for tree in [&mut ours, &mut twin] {
                    if find(tree, path).iter().all(|list| list.as_array().is_some_and(Vec::is_empty)) {
                        remove(tree, path, None);
                    }
                }
            }
            Treat::Difference => {
                if find(&twin, path).is_empty() && find(&ours, path).is_empty() {
                    continue;
                }
                let expected = rule.palisade.clone();
                let said = find(&ours, path);
                let right = match &expected {
                    Some(value) => said.iter().all(|v| *v == value),
                    None => said.is_empty(),
                };
                if !right {
                    return Some(format!("at {}: {said:?} instead of {expected:?}", rule.path));
                }
                remove(&mut ours, path, None);
                remove(&mut twin, path, None);
            }
            Treat::Unordered | Treat::Close | Treat::OneToThreeTimes | Treat::AnySeries => {}
        }
    }
    Comparison { rules: &rules }.differ(&ours, &twin, &mut Vec::new())
}

/// An answer as one tree: `status`, and `body` by its content type. The text of
/// an error answer is under `error`, so that rules can speak of it.
fn tree(answer: &Answer) -> Value {
    let kind = answer.header("content-type").unwrap_or_default();
    let body = if kind.starts_with("application/protobuf") {
        protobuf::trace(&answer.body).unwrap_or_else(|| Value::String("undecodable".into()))
    } else if kind.starts_with("text/plain; version=0.0.4") {
        exposition(&answer.text())
    } else {
        answer.json().unwrap_or_else(|| Value::String(answer.text()))
    };
    let mut tree = serde_json::Map::new();
    tree.insert("status".into(), answer.status.into());
    let place = if answer.status == 200 { "body" } else { "error" };
    tree.insert(place.into(), body);
    Value::Object(tree)
}

/// The lines of Prometheus' text format, samples without the time at their end: that of the last scrape.
fn exposition(text: &str) -> Value {
    let sample = |line: &str| match line.rsplit_once(' ') {
        Some((sample, _)) if !line.starts_with('#') => sample.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(sample).collect::<Vec<_>>().into()
}

/// `*` is any key, `*Time` each that ends so.
fn names(part: &str, key: &str) -> bool {
    match part.strip_prefix('*') {
        Some(end) => key.ends_with(end),
        None => part == key,
    }
}

/// Splits `name[]` and `name[1]` off a path's part: the name and the indices.
fn split(part: &str) -> (&str, Vec<Option<usize>>) {
    let mut pieces = part.split('[');
    let name = pieces.next().unwrap_or_default();
    let indices = pieces.map(|p| p.trim_end_matches(']').parse().ok()).collect();
    (name, indices)
}

fn elements<'v>(value: &'v Value, indices: &[Option<usize>]) -> Vec<&'v Value> {
    let Some((first, rest)) = indices.split_first() else {
        return vec![value];
    };
    let Some(list) = value.as_array() else {
        return Vec::new();
    };
    list.iter()
        .enumerate()
        .filter(|(at, _)| first.is_none_or(|index| index == *at))
        .flat_map(|(_, element)| elements(element, rest))
        .collect()
}

fn find<'v>(value: &'v Value, path: &[&str]) -> Vec<&'v Value> {
    let Some((part, rest)) = path.split_first() else {
        return vec![value];
    };
    let (name, indices) = split(part);
    let Some(map) = value.as_object() else {
        return Vec::new();
    };
    map.iter()
        .filter(|(key, _)| names(name, key))
        .flat_map(|(_, child)| elements(child, &indices))
        .flat_map(|child| find(child, rest))
        .collect()
}

/// Removes what is at `path`, or of the list there only the elements `holding`
/// a text.
fn remove(value: &mut Value, path: &[&str], holding: Option<&str>) {
    let Some((part, rest)) = path.split_first() else {
        return;
    };
    let (name, indices) = split(part);
    let Some(map) = value.as_object_mut() else {
        return;
    };
    if rest.is_empty() && indices.is_empty() && holding.is_none() {
        map.retain(|key, _| !names(name, key));
        return;
    }
    for (_, child) in map.iter_mut().filter(|(key, _)| names(name, key)) {
        match (rest, holding, child.as_array_mut()) {
            ([], Some(text), Some(list)) => list.retain(|e| !e.to_string().contains(text)),
            _ => remove_below(child, &indices, rest, holding),
        }
    }
}

fn remove_below(value: &mut Value, indices: &[Option<usize>], rest: &[&str], holding: Option<&str>) {
    let Some((first, others)) = indices.split_first() else {
        remove(value, rest, holding);
        return;
    };
    let Some(list) = value.as_array_mut() else {
        return;
    };
    for (at, element) in list.iter_mut().enumerate() {
        if first.is_none_or(|index| index == at) {
            remove_below(element, others, rest, holding);
        }
    }
}

/// A step from a tree's root: a key, or an index that belongs to the last key.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

struct Comparison<'r> {
    rules: &'r [(&'r Rule, Vec<&'r str>)],
}

impl Comparison<'_> {
    fn treated(&self, treat: Treat, at: &[Step]) -> bool {
        self.rules.iter().any(|(rule, path)| rule.treat == treat && covers(path, at))
    }

    fn differ(&self, ours: &Value, twin: &Value, at: &mut Vec<Step>) -> Option<String> {
        match (ours, twin) {
            (Value::Object(a), Value::Object(b)) => {
                let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
                keys.sort();
                keys.dedup();
                for key in keys {
                    at.push(Step::Key(key.clone()));
                    let found = match (a.get(key), b.get(key)) {
                        (Some(x), Some(y)) => self.differ(x, y, at),
                        (x, y) => Some(format!("at {}: {} / {}", shown(at), brief(x), brief(y))),
                    };
                    if found.is_some() {
                        return found;
                    }
                    at.pop();
                }
                None
            }
            (Value::Array(a), Value::Array(b)) if self.treated(Treat::Unordered, at) => self.bags(a, b, at),
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (n, (x, y)) in a.iter().zip(b).enumerate() {
                    at.push(Step::Index(n));
                    let found = self.differ(x, y, at);
                    if found.is_some() {
                        return found;
                    }
                    at.pop();
                }
                None
            }
            _ if ours == twin => None,
            _ if self.treated(Treat::AnySeries, at) && nameless(ours) == nameless(twin) => None,
            _ if self.treated(Treat::Close, at) && close(ours, twin) => None,
            _ if self.treated(Treat::OneToThreeTimes, at)
                && TIMES.iter().any(|times| counted(ours, twin, *times)) =>
            {
                None
            }
            _ => Some(format!("at {}: {} / {}", shown(at), brief(Some(ours)), brief(Some(twin)))),
        }
    }

    fn bags(&self, ours: &[Value], twin: &[Value], at: &[Step]) -> Option<String> {
        let mut left: Vec<&Value> = twin.iter().collect();
        for element in ours {
            let mut below = at.to_vec();
            below.push(Step::Index(0));
            let equal = |other: &&Value| self.differ(element, other, &mut below.clone()).is_none();
            match left.iter().position(equal) {
                Some(n) => {
                    left.remove(n);
                }
                None => {
                    let only = brief(Some(element));
                    return Some(format!("at {}: only ours has {only}", shown(at)));
                }
            }
        }
        left.first().map(|missing| {
            let missing = brief(Some(missing));
            format!("at {}: ours lacks {missing}", shown(at))
        })
    }
}

/// Whether a rule's path names this place exactly.
fn covers(path: &[&str], at: &[Step]) -> bool {
    let mut steps = at.iter().peekable();
    for part in path {
        let (name, indices) = split(part);
        let key = matches!(steps.next(), Some(Step::Key(key)) if names(name, key));
        let indexed = indices
            .iter()
            .all(|index| matches!(steps.next(), Some(Step::Index(n)) if index.is_none_or(|i| i == *n)));
        if !key || !indexed {
            return false;
        }
    }
    steps.peek().is_none()
}

/// What one to three times a number can be of one to three times the same number.
const TIMES: [f64; 7] = [1.0, 2.0, 3.0, 1.0 / 2.0, 1.0 / 3.0, 3.0 / 2.0, 2.0 / 3.0];

/// Whether a number is what was counted `times` as often as another. Parts of a volume are rounded to whole bytes after
/// they were counted, each side's by half a byte at most.
fn counted(ours: &Value, twin: &Value, times: f64) -> bool {
    let rounded = if times == 1.0 { 0.0 } else { (1.0 + times) / 2.0 };
    apart(ours, twin, times).is_some_and(|apart| apart <= rounded)
}

/// Whether a number is another, to within 1e-9 of its size.
fn close(ours: &Value, twin: &Value) -> bool {
    apart(ours, twin, 1.0).is_some_and(|apart| apart == 0.0)
}

/// How far a number is from `times` another: 0 within 1e-9 of its size.
fn apart(ours: &Value, twin: &Value, times: f64) -> Option<f64> {
    let number = |value: &Value| match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.parse::<f64>().ok(),
        _ => None,
    };
    let (a, b) = (number(ours)?, number(twin)?);
    let apart = (a - times * b).abs();
    Some(if apart <= 1e-9 * a.abs().max(b.abs()) { 0.0 } else { apart })
}

/// A text without the labels of the series that it names: what is in braces.
fn nameless(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match (text.find('{'), text.rfind('}')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &text[..from], &text[to..]),
        _ => text.to_owned(),
    }
}

fn shown(at: &[Step]) -> String {
    let mut text = String::new();
    for step in at {
        match step {
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(n) => text.push_str(&format!("[{n}]")),
        }
    }
    text
}

fn brief(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".into(), Value::to_string);
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
