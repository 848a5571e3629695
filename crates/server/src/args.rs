//! Parameters: their description in the method table, the binder that checks
//! and converts what a request brought, and what handlers read from.
//!
//! Owns the rules and messages of API sheet 0.5 (binding and casting). Must not
//! know any method, nor how the bytes came in.

mod convert;
mod param;

pub use param::{Default, Kind, Param, optional, required};

use crate::methods::{Method, Unknown};
use crate::upload::Upload;
use bytes::Bytes;
use convert::{cast, check};
use panda_wire::lenient;
use serde_json::{Map, Value};

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
