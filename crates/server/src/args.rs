//! Parameters: their description in the method table, the binder that checks
//! and converts what a request brought, and what handlers read from.
//!
//! Owns the rules and messages of API sheet 0.5 (binding and casting). Must not
//! know any method, nor how the bytes came in.

use crate::methods::{Method, Unknown};
use crate::upload::Upload;
use bytes::Bytes;
use panda_wire::{lenient, literal};
use serde_json::{Map, Value};

/// Type of a parameter; the name in messages is Python's, since clients print them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `int`; true and false count.
    Int,
    /// `float`; an integer does not count.
    Float,
    /// `int` or `float`.
    Number,
    /// `bool`
    Bool,
    /// `str`
    Text,
    /// A list of `int`.
    Ints,
    /// A list of `str`.
    Texts,
    /// A list of `dict`.
    Dicts,
    /// A list of anything.
    List,
    /// `dict`
    Dict,
    /// `dict` or `str`.
    DictOrText,
    /// `int` or `str`.
    IntOrText,
    /// Anything.
    Any,
}

impl Kind {
    /// The name of the type in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Number => "float|int",
            Kind::Bool => "bool",
            Kind::Text => "str",
            Kind::Ints | Kind::Texts | Kind::Dicts | Kind::List => "List",
            Kind::Dict => "dict",
            Kind::DictOrText => "dict|str",
            Kind::IntOrText => "int|str",
            Kind::Any => "Any",
        }
    }

    fn element(self) -> Option<Kind> {
        match self {
            Kind::Ints => Some(Kind::Int),
            Kind::Texts => Some(Kind::Text),
            Kind::Dicts => Some(Kind::Dict),
            Kind::List => Some(Kind::Any),
            _ => None,
        }
    }

    /// Whether a value has this type, strictly.
    fn holds(self, value: &Value) -> bool {
        match self {
            Kind::Int => matches!(value, Value::Bool(_)) || value.is_i64() || value.is_u64(),
            Kind::Float => value.is_f64(),
            Kind::Number => matches!(value, Value::Bool(_) | Value::Number(_)),
            Kind::Bool => value.is_boolean(),
            Kind::Text => value.is_string(),
            Kind::Ints | Kind::Texts | Kind::Dicts | Kind::List => value.is_array(),
            Kind::Dict => value.is_object(),
            Kind::DictOrText => value.is_object() || value.is_string(),
            Kind::IntOrText => Kind::Int.holds(value) || value.is_string(),
            Kind::Any => true,
        }
    }
}

/// What an absent parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// It must be there.
    Required,
    /// Null.
    Null,
    /// A number.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(&'static str),
    /// Texts.
    Texts(&'static [&'static str]),
}

/// One parameter of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it is when absent.
    pub default: Default,
    /// Whether JSON values of other types are converted (`"5"` for an `int`).
    pub lenient: bool,
}

/// A required, strict parameter.
#[must_use]
pub const fn required(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, default: Default::Required, lenient: false }
}

/// An optional, strict parameter that is null when absent.
#[must_use]
pub const fn optional(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, default: Default::Null, lenient: false }
}

impl Param {
    /// With another default.
    #[must_use]
    pub const fn or(self, default: Default) -> Self {
        Param { default, ..self }
    }

    /// Converting what real peers send.
    #[must_use]
    pub const fn lenient(self) -> Self {
        Param { lenient: true, ..self }
    }
}

/// What a request brought, before binding.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// Text values: a query string or a form. Keys may repeat.
    Pairs(Vec<(String, String)>),
    /// JSON values.
    Object(Map<String, Value>),
}

/// Most names that one request may bring: more than any method has, and a bound on the work of binding.
pub const MAX_NAMES: usize = 1000;

/// The bound parameters of one call.
#[derive(Debug)]
pub struct Args {
    method: &'static Method,
    values: Vec<Option<Value>>,
    rest: Map<String, Value>,
    upload: Option<Upload>,
    body: Bytes,
}

/// Binds what came to the parameters of a method.
///
/// # Errors
/// The message of the envelope: `Argument error: ...` or `Type error: ...`.
pub fn bind(method: &'static Method, given: Given, is_get: bool) -> Result<Args, String> {
    let mut args = Args { method, values: vec![None; method.params.len()], rest: Map::new(), upload: None, body: Bytes::new() };
    match given {
        Given::Pairs(pairs) => args.take_pairs(pairs, is_get)?,
        Given::Object(map) => args.take_object(map)?,
    }
    Ok(args)
}

/// Binds a call of the old wire: every parameter is lenient, unknown names are dropped.
///
/// # Errors
/// As [`bind`].
pub fn bind_leniently(method: &'static Method, map: Map<String, Value>) -> Result<Args, String> {
    let mut args = Args::empty(method);
    let mut given: Vec<Option<Value>> = vec![None; method.params.len()];
    for (key, value) in map {
        if let Some(at) = method.params.iter().position(|p| p.name == key) {
            given[at] = Some(value);
        }
    }
    args.check_names(|at| given[at].is_some(), None)?;
    for (at, value) in given.into_iter().enumerate() {
        if let Some(value) = value {
            args.values[at] = check(&method.params[at].lenient(), value)?;
        }
    }
    Ok(args)
}

impl Args {
    /// Arguments without any value, for handlers that are called from the old wire or from tests.
    #[must_use]
    pub fn empty(method: &'static Method) -> Self {
        Args { method, values: vec![None; method.params.len()], rest: Map::new(), upload: None, body: Bytes::new() }
    }

    fn take_object(&mut self, map: Map<String, Value>) -> Result<(), String> {
        let params = self.method.params;
        let mut unexpected = None;
        let mut raw: Vec<Option<Value>> = vec![None; params.len()];
        for (key, value) in map {
            match params.iter().position(|p| p.name == key) {
                Some(at) => raw[at] = Some(value),
                None => self.take_unknown(key, value, false, &mut unexpected),
            }
        }
        self.check_names(|at| raw[at].is_some(), unexpected)?;
        for (at, value) in raw.into_iter().enumerate() {
            if let Some(value) = value {
                self.values[at] = check(&params[at], value)?;
            }
        }
        Ok(())
    }

    fn take_pairs(&mut self, pairs: Vec<(String, String)>, is_get: bool) -> Result<(), String> {
        let params = self.method.params;
        let mut unexpected = None;
        let mut raw: Vec<Vec<String>> = vec![Vec::new(); params.len()];
        for (key, value) in pairs.into_iter().take(MAX_NAMES) {
            match params.iter().position(|p| p.name == key) {
                Some(at) => raw[at].push(value),
                None => self.take_unknown(key, Value::String(value), is_get, &mut unexpected),
            }
        }
        self.check_names(|at| !raw[at].is_empty(), unexpected)?;
        for (at, texts) in raw.into_iter().enumerate() {
            if !texts.is_empty() {
                self.values[at] = cast(&params[at], texts)?;
            }
        }
        Ok(())
    }

    fn take_unknown(&mut self, key: String, value: Value, is_get: bool, unexpected: &mut Option<String>) {
        match self.method.unknown {
            Unknown::Kept => drop(self.rest.insert(key, value)),
            Unknown::IgnoredInPost if !is_get => {}
            Unknown::Refused | Unknown::IgnoredInPost => drop(unexpected.get_or_insert(key)),
        }
    }

    /// Missing names come first, as in Python.
    fn check_names(&self, is_given: impl Fn(usize) -> bool, unexpected: Option<String>) -> Result<(), String> {
        for (at, param) in self.method.params.iter().enumerate() {
            if param.default == Default::Required && !is_given(at) {
                return Err(format!("Argument error: missing a required argument: '{}'", param.name));
            }
        }
        match unexpected {
            Some(key) => Err(format!("Argument error: got an unexpected keyword argument '{key}'")),
            None => Ok(()),
        }
    }

    /// The method that is called.
    #[must_use]
    pub fn method(&self) -> &'static Method {
        self.method
    }

    fn at(&self, name: &str) -> Option<usize> {
        let at = self.method.params.iter().position(|p| p.name == name);
        debug_assert!(at.is_some(), "{} has no parameter {name}", self.method.name);
        at
    }

    /// The value as it was given (and converted); `None` when it is absent or null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(self.at(name)?)?.as_ref()
    }

    /// Moves the value out.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.at(name)?;
        self.values.get_mut(at)?.take()
    }

    fn default(&self, name: &str) -> Option<Default> {
        Some(self.method.params.get(self.at(name)?)?.default)
    }

    /// An integer, or the default of the table.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        match (self.get(name), self.default(name)) {
            (Some(value), _) => lenient::int(value),
            (None, Some(Default::Int(i))) => Some(i),
            (None, _) => None,
        }
    }

    /// A required integer; zero cannot stand for it, since the binder has refused a missing one.
    #[must_use]
    pub fn id(&self, name: &str) -> i64 {
        self.int(name).unwrap_or_default()
    }

    /// A float.
    #[must_use]
    pub fn float(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(lenient::float)
    }

    /// A truth value; false when there is neither value nor default.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        match (self.get(name), self.default(name)) {
            (Some(value), _) => lenient::boolean(value).unwrap_or(false),
            (None, Some(Default::Bool(b))) => b,
            (None, _) => false,
        }
    }

    /// A text, or the default of the table.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match (self.get(name), self.default(name)) {
            (Some(Value::String(s)), _) => Some(s),
            (None, Some(Default::Text(s))) => Some(s),
            _ => None,
        }
    }

    /// Moves a text out; the default of the table when it is absent.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        match (self.take(name), self.default(name)) {
            (Some(value), _) => lenient::text(value),
            (None, Some(Default::Text(s))) => Some(s.to_owned()),
            (None, _) => None,
        }
    }

    /// A list of integers; elements that are none were refused by the binder.
    #[must_use]
    pub fn ints(&self, name: &str) -> Vec<i64> {
        match self.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(lenient::int).collect(),
            _ => Vec::new(),
        }
    }

    /// A list of texts, or the default of the table; `None` when absent without default.
    #[must_use]
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        match (self.get(name), self.default(name)) {
            (Some(Value::Array(items)), _) => Some(items.iter().cloned().filter_map(lenient::text).collect()),
            (None, Some(Default::Texts(items))) => Some(items.iter().map(|s| (*s).to_owned()).collect()),
            _ => None,
        }
    }

    /// Every given parameter by name, for records of the wire.
    #[must_use]
    pub fn into_object(self) -> Map<String, Value> {
        let names = self.method.params.iter().map(|p| p.name.to_owned());
        names.zip(self.values).filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Names that the table does not have (only where it keeps them).
    #[must_use]
    pub fn rest(&self) -> &Map<String, Value> {
        &self.rest
    }

    /// The uploaded file.
    pub fn take_upload(&mut self) -> Option<Upload> {
        self.upload.take()
    }

    /// The raw body.
    pub fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.body)
    }

    pub(crate) fn with_upload(mut self, upload: Option<Upload>) -> Self {
        self.upload = upload;
        self
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}

/// Checks a JSON value; lenient parameters are converted. Null stands for the default of an optional parameter.
fn check(param: &Param, value: Value) -> Result<Option<Value>, String> {
    if value.is_null() && param.default != Default::Required {
        return Ok(None);
    }
    let value = if param.lenient && !param.kind.holds(&value) {
        match convert(param.kind, value) {
            Ok(None) if param.default != Default::Required => return Ok(None),
            Ok(None) => return Err(type_error(param, &Value::Null)),
            Ok(Some(value)) => value,
            Err(value) => return Err(type_error(param, &value)),
        }
    } else {
        value
    };
    if !param.kind.holds(&value) {
        return Err(type_error(param, &value));
    }
    let (Some(element), Value::Array(items)) = (param.kind.element(), &value) else {
        return Ok(Some(value));
    };
    if items.iter().all(|item| element.holds(item)) {
        return Ok(Some(value));
    }
    if param.lenient
        && let Some(items) = items.iter().map(|item| convert(element, item.clone()).ok().flatten()).collect::<Option<Vec<_>>>()
    {
        return Ok(Some(Value::Array(items)));
    }
    Err(format!("Type error: All elements in '{}' must be {}.", param.name, element.name()))
}

fn type_error(param: &Param, value: &Value) -> String {
    format!("Type error: '{}' must be of type {}, got {}.", param.name, param.kind.name(), python_type(value))
}

fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// Converts a value of another type. `Ok(None)` is a text that means "nothing"
/// (`""`, `"NULL"`, `"None"` for a number); the value comes back when it cannot be.
fn convert(kind: Kind, value: Value) -> Result<Option<Value>, Value> {
    let absent = value.as_str().is_some_and(|s| matches!(s.trim(), "" | "NULL" | "None" | "null"));
    let converted = match kind {
        Kind::Int | Kind::Number | Kind::Float | Kind::Bool if absent => return Ok(None),
        Kind::Int => lenient::int(&value).map(Value::from),
        Kind::Float | Kind::Number => lenient::float(&value).map(Value::from),
        Kind::Bool => lenient::boolean(&value).map(Value::Bool),
        Kind::Text => lenient::text(value.clone()).map(Value::String),
        Kind::IntOrText => lenient::text(value.clone()).map(Value::String),
        Kind::Ints | Kind::Texts | Kind::Dicts | Kind::List | Kind::Dict => match value.as_str() {
            Some(text) => structured(text).filter(|v| kind.holds(v)),
            None if kind != Kind::Dict && !value.is_object() && !value.is_null() => Some(Value::Array(vec![value.clone()])),
            None => None,
        },
        Kind::DictOrText | Kind::Any => Some(value.clone()),
    };
    converted.map(Some).ok_or(value)
}

/// A structure in a text: JSON, or else a Python literal.
fn structured(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| literal::parse(text).ok().map(|l| l.to_json()))
}

/// Converts the texts that a query or a form brought for one parameter.
fn cast(param: &Param, mut texts: Vec<String>) -> Result<Option<Value>, String> {
    if param.default == Default::Null && texts.len() == 1 && texts[0] == "None" {
        return Ok(None);
    }
    if let Some(element) = param.kind.element() {
        return cast_list(param, element, texts).map(Some);
    }
    if texts.len() > 1 {
        let list = Value::Array(texts.into_iter().map(Value::String).collect());
        return match param.kind {
            Kind::Any => Ok(Some(list)),
            _ => Err(type_error(param, &list)),
        };
    }
    let text = texts.pop().unwrap_or_default();
    if param.lenient && param.default != Default::Required && matches!(text.as_str(), "" | "NULL") && param.kind != Kind::Text {
        return Ok(None);
    }
    cast_one(param.kind, &text).map(Some).ok_or_else(|| cast_error(param, &text))
}

fn cast_list(param: &Param, element: Kind, texts: Vec<String>) -> Result<Value, String> {
    // One text may hold the whole list.
    if let [text] = texts.as_slice()
        && text.starts_with(['[', '('])
        && let Some(list @ Value::Array(_)) = structured(text)
        && let Ok(Some(list)) = check(&Param { lenient: true, ..*param }, list)
    {
        return Ok(list);
    }
    let items: Option<Vec<Value>> = texts.iter().map(|text| cast_one(element, text)).collect();
    match items {
        Some(items) => Ok(Value::Array(items)),
        None => Err(cast_error(param, &texts.join(","))),
    }
}

fn cast_error(param: &Param, text: &str) -> String {
    let shown: String = text.chars().take(200).collect();
    format!("Type error: '{}' with value '{shown}' could not be casted to type {} from str.", param.name, param.kind.name())
}

fn cast_one(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        // An integer goes through a float in the original: "1e3" and "3.7" count.
        Kind::Int => lenient::int(&Value::String(text.to_owned())).map(Value::from),
        Kind::Float => text.trim().parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
        Kind::Number => cast_one(Kind::Int, text).filter(|_| !text.contains('.')).or_else(|| cast_one(Kind::Float, text)),
        Kind::Bool => Some(Value::Bool(text.eq_ignore_ascii_case("true") || text == "1")),
        Kind::Text | Kind::IntOrText => Some(Value::String(text.to_owned())),
        Kind::Dict => structured(text).filter(Value::is_object),
        Kind::DictOrText => Some(structured(text).filter(Value::is_object).unwrap_or_else(|| Value::String(text.to_owned()))),
        Kind::Any => Some(literal::parse(text).map_or_else(|_| Value::String(text.to_owned()), |l| l.to_json())),
        Kind::Ints | Kind::Texts | Kind::Dicts | Kind::List => structured(text).filter(|v| kind.holds(v)),
    }
}
