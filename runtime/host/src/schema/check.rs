//! The check of a value against a schema.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Write;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use serde_json::{Map, Number, Value};

use super::Schema;
use super::shape::count;
use super::work::{Stop, Work};
use crate::error::Violation;

/// Violations that one answer lists; arguments can break a schema in thousands of places.
const VIOLATIONS: usize = 20;
/// Characters of what is said about one of them, and of where it is.
const VIOLATION: usize = 500;
/// Schemas that may apply within each other, down into the value. Each takes some of the thread's stack.
const DEEPEST: usize = 400;

impl Schema {
    /// Where a value breaks the schema; nowhere if it fits.
    ///
    /// # Errors
    /// If the check ended before it was known.
    pub fn violations(&self, value: &Value, work: &mut Work) -> Result<Vec<Violation>, Stop> {
        let mut check = Check {
            schema: self,
            work,
            depth: 0,
            quiet: 0,
            violations: Vec::new(),
        };
        check.value(&self.root, value, &At::Root, None)?;
        Ok(check.violations)
    }
}

/// The beginning of a text, with `…` for what is left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// JSON of a schema, cut while it is written: it may be megabytes.
fn brief(json: &Value) -> String {
    struct Cut(String);
    impl Write for Cut {
        fn write_str(&mut self, part: &str) -> std::fmt::Result {
            let left = VIOLATION.saturating_sub(self.0.len());
            self.0
                .push_str(part.get(..part.floor_char_boundary(left)).unwrap_or(part));
            match part.len() > left {
                true => Err(std::fmt::Error),
                false => Ok(()),
            }
        }
    }
    let mut cut = Cut(String::new());
    if write!(cut, "{json}").is_err() {
        cut.0.push('…');
    }
    cut.0
}

/// A place in the value.
enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    /// As a JSON pointer, of bounded length.
    fn pointer(&self) -> String {
        let mut parts = Vec::new();
        let mut at = self;
        loop {
            at = match at {
                At::Root => break,
                At::Key(above, key) => {
                    let key = shortened(key, VIOLATION);
                    parts.push(key.replace('~', "~0").replace('/', "~1"));
                    above
                }
                At::Index(above, nth) => {
                    parts.push(nth.to_string());
                    above
                }
            };
        }
        let pointer: String = parts.iter().rev().map(|part| format!("/{part}")).collect();
        shortened(&pointer, VIOLATION)
    }
}

/// The parts of a value that some schema has looked at, for `unevaluated…`.
#[derive(Default)]
struct Evaluated<'v> {
    keys: HashSet<&'v str>,
    all_keys: bool,
    items: HashSet<usize>,
    /// All items before this one.
    items_before: usize,
}

impl Evaluated<'_> {
    fn merge(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.all_keys |= other.all_keys;
        self.items.extend(other.items);
        self.items_before = self.items_before.max(other.items_before);
    }
}

struct Check<'s, 'w> {
    schema: &'s Schema,
    work: &'w mut Work,
    depth: usize,
    /// More than 0 where a violation is no mistake, as in `anyOf`.
    quiet: u32,
    violations: Vec<Violation>,
}

impl<'s> Check<'s, '_> {
    /// Notes a violation. It tells nothing of the value but its type and the names of members.
    fn violation(&mut self, at: &At<'_>, message: impl FnOnce() -> String) {
        if self.tells() {
            self.violations.push(Violation {
                pointer: at.pointer(),
                message: shortened(&message(), VIOLATION),
            });
        }
    }

    /// True if violations are of interest; otherwise the first one ends the check.
    fn tells(&self) -> bool {
        self.quiet == 0 && self.violations.len() < VIOLATIONS
    }

    fn quietly<'v>(
        &mut self,
        schema: &'s Value,
        value: &'v Value,
        at: &At<'_>,
        evaluated: Option<&mut Evaluated<'v>>,
    ) -> Result<bool, Stop> {
        self.quiet += 1;
        let fits = self.value(schema, value, at, evaluated);
        self.quiet -= 1;
        fits
    }

    /// True if the value fits the schema.
    fn value<'v>(
        &mut self,
        schema: &'s Value,
        value: &'v Value,
        at: &At<'_>,
        evaluated: Option<&mut Evaluated<'v>>,
    ) -> Result<bool, Stop> {
        self.work.spend(1)?;
        let members = match schema {
            Value::Object(members) => members,
            Value::Bool(false) => {
                self.violation(at, || "is not allowed here".to_owned());
                return Ok(false);
            }
            _ => return Ok(true),
        };
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Stop::TooDeep);
        }
        let last = |keyword| members.get_key_value(keyword);
        let (keys, items) = (last("unevaluatedProperties"), last("unevaluatedItems"));
        let wants_own = evaluated.is_some() || keys.is_some() || items.is_some();
        let mut own = wants_own.then(Evaluated::default);
        let mut fits = true;
        for (keyword, argument) in members {
            self.work.spend(1)?;
            if !self.keyword(members, keyword, argument, value, at, own.as_mut())? {
                fits = false;
                if !self.tells() {
                    break;
                }
            }
        }
        if let Some(own) = &mut own
            && (fits || self.tells())
        {
            if let Some((_, schema)) = keys {
                fits &= self.unevaluated_keys(schema, value, at, own)?;
            }
            if let Some((_, schema)) = items {
                fits &= self.unevaluated_items(schema, value, at, own)?;
            }
        }
        self.depth -= 1;
        if let (true, Some(around), Some(own)) = (fits, evaluated, own) {
            self.work.spend((own.keys.len() + own.items.len()) as u64)?;
            around.merge(own);
        }
        Ok(fits)
    }

    fn keyword<'v>(
        &mut self,
        members: &'s Map<String, Value>,
        keyword: &'s str,
        argument: &'s Value,
        value: &'v Value,
        at: &At<'_>,
        evaluated: Option<&mut Evaluated<'v>>,
    ) -> Result<bool, Stop> {
        match keyword {
            "$ref" => {
                let reference = argument.as_str().unwrap_or_default();
                self.work.spend_bytes(reference.len())?;
                match self.schema.target(reference) {
                    Some(target) => self.value(target, value, at, evaluated),
                    None => Ok(true),
                }
            }
            "allOf" | "anyOf" | "oneOf" | "not" | "if" | "dependentSchemas" => {
                self.in_place(members, keyword, argument, value, at, evaluated)
            }
            "type" => Ok(self.kind(argument, value, at)),
            "enum" => {
                for option in argument.as_array().into_iter().flatten() {
                    if equal(option, value, self.work)? {
                        return Ok(true);
                    }
                }
                self.violation(at, || format!("is none of {}", brief(argument)));
                Ok(false)
            }
            "const" => {
                let is_equal = equal(argument, value, self.work)?;
                if !is_equal {
                    self.violation(at, || format!("is not {}", brief(argument)));
                }
                Ok(is_equal)
            }
            _ => match value {
                Value::Number(number) => self.number(keyword, argument, number, at),
                Value::String(text) => self.text(keyword, argument, text, at),
                Value::Array(items) => self.array(members, keyword, argument, items, at, evaluated),
                Value::Object(object) => {
                    self.object(members, keyword, argument, object, at, evaluated)
                }
                _ => Ok(true),
            },
        }
    }

    /// Keywords that apply other schemas to the same value.
    fn in_place<'v>(
        &mut self,
        members: &'s Map<String, Value>,
        keyword: &str,
        argument: &'s Value,
        value: &'v Value,
        at: &At<'_>,
        mut evaluated: Option<&mut Evaluated<'v>>,
    ) -> Result<bool, Stop> {
        let schemas = || argument.as_array().into_iter().flatten();
        let is_looked_at = evaluated.is_some();
        match keyword {
            "allOf" => {
                let mut fits = true;
                for schema in schemas() {
                    fits &= self.value(schema, value, at, evaluated.as_deref_mut())?;
                    if !fits && !self.tells() {
                        break;
                    }
                }
                Ok(fits)
            }
            "anyOf" | "oneOf" => {
                let enough = if keyword == "anyOf" { 1 } else { 2 };
                let mut fitting = 0;
                for schema in schemas() {
                    if self.quietly(schema, value, at, evaluated.as_deref_mut())? {
                        fitting += 1;
                        if fitting == enough && !(is_looked_at && enough == 1) {
                            break;
                        }
                    }
                }
                let fits = fitting == 1 || (fitting > 1 && keyword == "anyOf");
                if !fits {
                    let how = if fitting == 0 {
                        "none"
                    } else {
                        "more than one"
                    };
                    self.violation(at, || format!("fits {how} of the schemas of `{keyword}`"));
                }
                Ok(fits)
            }
            "not" => {
                let fits = !self.quietly(argument, value, at, None)?;
                if !fits {
                    self.violation(at, || "fits the schema of `not`".to_owned());
                }
                Ok(fits)
            }
            "if" => {
                let holds = self.quietly(argument, value, at, evaluated.as_deref_mut())?;
                match members.get(if holds { "then" } else { "else" }) {
                    Some(schema) => self.value(schema, value, at, evaluated),
                    None => Ok(true),
                }
            }
            // `dependentSchemas`
            _ => {
                let Some(object) = value.as_object() else {
                    return Ok(true);
                };
                let mut fits = true;
                for (key, schema) in argument.as_object().into_iter().flatten() {
                    self.work.spend(1)?;
                    if object.contains_key(key) {
                        fits &= self.value(schema, value, at, evaluated.as_deref_mut())?;
                    }
                }
                Ok(fits)
            }
        }
    }

    fn kind(&mut self, argument: &Value, value: &Value, at: &At<'_>) -> bool {
        let is_of = |name: &Value| match (name.as_str().unwrap_or_default(), value) {
            ("integer", Value::Number(number)) => is_integer(number),
            (name, value) => name == type_name(value),
        };
        let fits = match argument {
            Value::Array(names) => names.iter().any(is_of),
            name => is_of(name),
        };
        if !fits {
            let is = type_name(value);
            self.violation(at, || {
                format!("is of type \"{is}\", not of type {}", brief(argument))
            });
        }
        fits
    }

    fn number(
        &mut self,
        keyword: &str,
        argument: &Value,
        number: &Number,
        at: &At<'_>,
    ) -> Result<bool, Stop> {
        let Value::Number(bound) = argument else {
            return Ok(true);
        };
        let order = compare(number, bound);
        let (fits, what) = match keyword {
            "maximum" => (order != Ordering::Greater, "is more than the maximum of"),
            "minimum" => (order != Ordering::Less, "is less than the minimum of"),
            "exclusiveMaximum" => (order == Ordering::Less, "is not less than"),
            "exclusiveMinimum" => (order == Ordering::Greater, "is not more than"),
            "multipleOf" => (is_multiple(number, bound), "is no multiple of"),
            _ => return Ok(true),
        };
        if !fits {
            self.violation(at, || format!("{what} {bound}"));
        }
        Ok(fits)
    }

    fn text(
        &mut self,
        keyword: &str,
        argument: &Value,
        text: &str,
        at: &At<'_>,
    ) -> Result<bool, Stop> {
        let fits = match keyword {
            "maxLength" | "minLength" => {
                self.work.spend_bytes(text.len())?;
                let length = text.chars().count() as u64;
                return Ok(self.counted(keyword, argument, length, "characters", at));
            }
            "pattern" => {
                let pattern = argument.as_str().unwrap_or_default();
                match self.schema.patterns.get(pattern) {
                    Some(pattern) => pattern.is_match(text, self.work)?,
                    None => true,
                }
            }
            _ => true,
        };
        if !fits {
            self.violation(at, || format!("does not match {}", brief(argument)));
        }
        Ok(fits)
    }

    /// Holds a number of things against `max…` or `min…`.
    fn counted(
        &mut self,
        keyword: &str,
        argument: &Value,
        number: u64,
        things: &str,
        at: &At<'_>,
    ) -> bool {
        let bound = count(argument).unwrap_or(u64::MAX);
        let is_most = keyword.starts_with("max");
        let fits = if is_most {
            number <= bound
        } else {
            number >= bound
        };
        if !fits {
            let how = if is_most { "more" } else { "less" };
            self.violation(at, || format!("has {number} {things}, {how} than {bound}"));
        }
        fits
    }

    fn array<'v>(
        &mut self,
        members: &'s Map<String, Value>,
        keyword: &str,
        argument: &'s Value,
        items: &'v [Value],
        at: &At<'_>,
        mut evaluated: Option<&mut Evaluated<'v>>,
    ) -> Result<bool, Stop> {
        match keyword {
            "maxItems" | "minItems" => {
                Ok(self.counted(keyword, argument, items.len() as u64, "items", at))
            }
            "uniqueItems" if argument == &Value::Bool(true) => {
                let twice = first_repeated(items, self.work)?;
                if let Some((one, other)) = twice {
                    self.violation(at, || format!("has equal items, {one} and {other}"));
                }
                Ok(twice.is_none())
            }
            "prefixItems" | "items" => {
                let prefix = members.get("prefixItems").and_then(Value::as_array);
                let prefix = prefix.map_or(&[][..], Vec::as_slice);
                let mut fits = true;
                if keyword == "prefixItems" {
                    for (nth, (schema, item)) in prefix.iter().zip(items).enumerate() {
                        fits &= self.value(schema, item, &At::Index(at, nth), None)?;
                    }
                    if let Some(evaluated) = &mut evaluated {
                        evaluated.items_before = evaluated.items_before.max(prefix.len());
                    }
                    return Ok(fits);
                }
                for (nth, item) in items.iter().enumerate().skip(prefix.len()) {
                    fits &= self.value(argument, item, &At::Index(at, nth), None)?;
                    if !fits && !self.tells() {
                        return Ok(false);
                    }
                }
                if let Some(evaluated) = &mut evaluated {
                    evaluated.items_before = items.len();
                }
                Ok(fits)
            }
            "contains" => {
                let bound = |keyword| members.get(keyword).and_then(count);
                let (least, most) = (bound("minContains").unwrap_or(1), bound("maxContains"));
                let mut number = 0;
                for (nth, item) in items.iter().enumerate() {
                    if self.quietly(argument, item, &At::Index(at, nth), None)? {
                        number += 1;
                        if let Some(evaluated) = &mut evaluated {
                            evaluated.items.insert(nth);
                        }
                    }
                }
                let fits = number >= least && most.is_none_or(|most| number <= most);
                if !fits {
                    self.violation(at, || {
                        format!("has {number} items that fit the schema of `contains`")
                    });
                }
                Ok(fits)
            }
            _ => Ok(true),
        }
    }

    fn object<'v>(
        &mut self,
        members: &'s Map<String, Value>,
        keyword: &str,
        argument: &'s Value,
        object: &'v Map<String, Value>,
        at: &At<'_>,
        mut evaluated: Option<&mut Evaluated<'v>>,
    ) -> Result<bool, Stop> {
        let mut fits = true;
        match keyword {
            "maxProperties" | "minProperties" => {
                fits = self.counted(keyword, argument, object.len() as u64, "members", at);
            }
            "required" => fits = self.required(argument, object, at)?,
            "dependentRequired" => {
                for (key, names) in argument.as_object().into_iter().flatten() {
                    self.work.spend(1)?;
                    if object.contains_key(key) {
                        fits &= self.required(names, object, at)?;
                    }
                }
            }
            "properties" => {
                for (key, schema) in argument.as_object().into_iter().flatten() {
                    self.work.spend(1)?;
                    let Some((key, value)) = object.get_key_value(key) else {
                        continue;
                    };
                    fits &= self.value(schema, value, &At::Key(at, key), None)?;
                    if let Some(evaluated) = &mut evaluated {
                        evaluated.keys.insert(key);
                    }
                    if !fits && !self.tells() {
                        return Ok(false);
                    }
                }
            }
            "patternProperties" => {
                for (text, schema) in argument.as_object().into_iter().flatten() {
                    let Some(pattern) = self.schema.patterns.get(text) else {
                        continue;
                    };
                    for (key, value) in object {
                        if !pattern.is_match(key, self.work)? {
                            continue;
                        }
                        fits &= self.value(schema, value, &At::Key(at, key), None)?;
                        if let Some(evaluated) = &mut evaluated {
                            evaluated.keys.insert(key);
                        }
                    }
                }
            }
            "additionalProperties" => {
                for (key, value) in object {
                    if self.is_named(members, key)? {
                        continue;
                    }
                    if argument == &Value::Bool(false) {
                        self.unexpected(key, at);
                        fits = false;
                    } else {
                        fits &= self.value(argument, value, &At::Key(at, key), None)?;
                    }
                    if !fits && !self.tells() {
                        return Ok(false);
                    }
                }
                if let Some(evaluated) = &mut evaluated {
                    evaluated.all_keys = true;
                }
            }
            "propertyNames" => {
                for key in object.keys() {
                    self.work.spend_bytes(key.len())?;
                    let name = Value::String(key.clone());
                    if !self.quietly(argument, &name, at, None)? {
                        let key = shortened(key, 100);
                        self.violation(at, || {
                            format!(
                                "has the member `{key}`, whose name does not fit `propertyNames`"
                            )
                        });
                        fits = false;
                    }
                }
            }
            _ => {}
        }
        Ok(fits)
    }

    fn unexpected(&mut self, key: &str, at: &At<'_>) {
        let key = shortened(key, 100);
        self.violation(at, || {
            format!("has the member `{key}`, which is not expected")
        });
    }

    fn required(
        &mut self,
        names: &Value,
        object: &Map<String, Value>,
        at: &At<'_>,
    ) -> Result<bool, Stop> {
        let mut fits = true;
        for name in names
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            self.work.spend(1)?;
            if !object.contains_key(name) {
                self.violation(at, || format!("\"{name}\" is a required property"));
                fits = false;
            }
        }
        Ok(fits)
    }

    /// True if `properties` or `patternProperties` name this key.
    fn is_named(&mut self, members: &'s Map<String, Value>, key: &str) -> Result<bool, Stop> {
        self.work.spend(1)?;
        let object = |keyword| members.get(keyword).and_then(Value::as_object);
        if object("properties").is_some_and(|all| all.contains_key(key)) {
            return Ok(true);
        }
        for text in object("patternProperties").into_iter().flat_map(Map::keys) {
            if let Some(pattern) = self.schema.patterns.get(text)
                && pattern.is_match(key, self.work)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn unevaluated_keys<'v>(
        &mut self,
        schema: &'s Value,
        value: &'v Value,
        at: &At<'_>,
        own: &mut Evaluated<'v>,
    ) -> Result<bool, Stop> {
        let mut fits = true;
        for (key, value) in value.as_object().into_iter().flatten() {
            self.work.spend(1)?;
            if own.all_keys || own.keys.contains(key.as_str()) {
                continue;
            }
            if schema == &Value::Bool(false) {
                self.unexpected(key, at);
                fits = false;
            } else {
                fits &= self.value(schema, value, &At::Key(at, key), None)?;
            }
        }
        own.all_keys = true;
        Ok(fits)
    }

    fn unevaluated_items<'v>(
        &mut self,
        schema: &'s Value,
        value: &'v Value,
        at: &At<'_>,
        own: &mut Evaluated<'v>,
    ) -> Result<bool, Stop> {
        let mut fits = true;
        for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
            self.work.spend(1)?;
            if nth >= own.items_before && !own.items.contains(&nth) {
                fits &= self.value(schema, item, &At::Index(at, nth), None)?;
            }
        }
        own.items_before = usize::MAX;
        Ok(fits)
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_integer(number: &Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// A whole number that was written as one.
fn whole(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

fn compare(one: &Number, other: &Number) -> Ordering {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(one), None) => compare_mixed(one, other),
        (None, Some(other)) => compare_mixed(other, one).reverse(),
        (None, None) => one
            .as_f64()
            .unwrap_or(f64::NAN)
            .total_cmp(&other.as_f64().unwrap_or(f64::NAN)),
    }
}

/// A whole number against a float: exactly, as a float of that size is whole itself.
fn compare_mixed(whole: i128, float: &Number) -> Ordering {
    let float = float.as_f64().unwrap_or(f64::NAN);
    if float >= 1e30 {
        return Ordering::Less;
    }
    if float <= -1e30 {
        return Ordering::Greater;
    }
    let floor = float.floor();
    whole.cmp(&(floor as i128)).then(match float > floor {
        true => Ordering::Less,
        false => Ordering::Equal,
    })
}

fn is_multiple(number: &Number, of: &Number) -> bool {
    if let (Some(number), Some(of)) = (whole(number), whole(of)) {
        return of != 0 && number % of == 0;
    }
    let (Some(number), Some(of)) = (number.as_f64(), of.as_f64()) else {
        return false;
    };
    let quotient = number / of;
    if !quotient.is_finite() {
        return false;
    }
    // 0.3 is three times 0.1, though not as floats.
    let nearest = quotient.round();
    (quotient - nearest).abs() <= f64::EPSILON * quotient.abs().max(1.0) * 4.0
}

/// True if two values are equal as JSON Schema has it: 1 and 1.0 are.
fn equal(one: &Value, other: &Value, work: &mut Work) -> Result<bool, Stop> {
    work.spend(1)?;
    Ok(match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare(one, other) == Ordering::Equal,
        (Value::String(one), Value::String(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            work.spend_bytes(one.len())?;
            one == other
        }
        (Value::Array(one), Value::Array(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            for (one, other) in one.iter().zip(other) {
                if !equal(one, other, work)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(one), Value::Object(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            for (key, value) in one {
                work.spend_bytes(key.len())?;
                match other.get(key) {
                    Some(other) if equal(value, other, work)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (one, other) => one == other,
    })
}

/// The first two equal items. By their hashes, so that not each is compared with each.
fn first_repeated(items: &[Value], work: &mut Work) -> Result<Option<(usize, usize)>, Stop> {
    let state = RandomState::new();
    let mut hashes = Vec::with_capacity(items.len());
    for (nth, item) in items.iter().enumerate() {
        let mut hasher = state.build_hasher();
        hash(item, &state, &mut hasher, work)?;
        hashes.push((hasher.finish(), nth));
    }
    hashes.sort_unstable();
    let mut first: Option<(usize, usize)> = None;
    for pair in hashes.windows(2) {
        if let [(one_hash, one), (other_hash, other)] = pair
            && one_hash == other_hash
            && let (Some(a), Some(b)) = (items.get(*one), items.get(*other))
            && equal(a, b, work)?
            && first.is_none_or(|(_, known)| *other < known)
        {
            first = Some((*one, *other));
        }
    }
    Ok(first)
}

/// Equal values have equal hashes: a number's is that of its value however it is
/// written, an object's does not depend on the order of its members.
fn hash(
    value: &Value,
    state: &RandomState,
    hasher: &mut impl Hasher,
    work: &mut Work,
) -> Result<(), Stop> {
    work.spend(2)?;
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Null => {}
        Value::Bool(value) => value.hash(hasher),
        Value::Number(number) => {
            let float = number.as_f64().unwrap_or_default();
            let is_whole = float.fract() == 0.0 && float.abs() < 1e30;
            match whole(number).or_else(|| is_whole.then_some(float as i128)) {
                Some(whole) => whole.hash(hasher),
                None => float.to_bits().hash(hasher),
            }
        }
        Value::String(text) => {
            work.spend_bytes(text.len())?;
            text.hash(hasher);
        }
        Value::Array(items) => {
            for item in items {
                hash(item, state, hasher, work)?;
            }
        }
        Value::Object(members) => {
            let mut total = 0_u64;
            for (key, value) in members {
                work.spend_bytes(key.len())?;
                let mut member = state.build_hasher();
                key.hash(&mut member);
                hash(value, state, &mut member, work)?;
                total = total.wrapping_add(member.finish());
            }
            total.hash(hasher);
        }
    }
    Ok(())
}
