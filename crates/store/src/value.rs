//! Values that travel between a statement and a backend, and rows that come back.
//!
//! Three kinds are enough on every backend: 64-bit integers (ids, times in microseconds UTC, booleans as 0/1, counts), reals and text.
//! Text is never empty: an empty string is stored as NULL, since Oracle cannot tell the two apart.

use crate::Error;

/// One value bound to a statement or read from a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Real(f64),
    /// Text, UTF-8.
    Text(String),
    /// A list for an `IN (:name*)` bind; at most [`crate::MAX_IN_LIST`] values.
    Ints(Vec<i64>),
    /// A list of texts for an `IN (:name*)` bind; at most [`crate::MAX_IN_LIST`] values.
    Texts(Vec<String>),
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<i32> for Value {
    fn from(v: i32) -> Self {
        Self::Int(i64::from(v))
    }
}
impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Self::Int(i64::from(v))
    }
}
impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Int(i64::from(v))
    }
}
impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Real(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        if v.is_empty() { Self::Null } else { Self::Text(v.to_owned()) }
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        if v.is_empty() { Self::Null } else { Self::Text(v) }
    }
}
impl From<&String> for Value {
    fn from(v: &String) -> Self {
        Self::from(v.as_str())
    }
}
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}
impl From<Vec<i64>> for Value {
    fn from(v: Vec<i64>) -> Self {
        Self::Ints(v)
    }
}
impl From<Vec<String>> for Value {
    fn from(v: Vec<String>) -> Self {
        Self::Texts(v)
    }
}

macro_rules! id_values {
    ($($t:ty),*) => { $( impl From<$t> for Value { fn from(v: $t) -> Self { Self::Int(v.0) } } )* };
}
id_values!(
    panda_core::id::TaskId,
    panda_core::id::JobId,
    panda_core::id::DatasetId,
    panda_core::id::FileId,
    panda_core::id::QueueId,
    panda_core::id::LaneId,
    panda_core::id::WorkerId,
    panda_core::time::Micros
);

/// One row of an answer; columns are read by position, in the order of the statement's select list.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The integer in column `i`; an error when it is NULL or of another kind.
    pub fn int(&self, i: usize) -> Result<i64, Error> {
        match self.0.get(i) {
            Some(Value::Int(v)) => Ok(*v),
            other => Err(Error::Decode(format!("column {i}: expected an integer, found {other:?}"))),
        }
    }
    /// The integer in column `i`, or None when it is NULL.
    pub fn opt_int(&self, i: usize) -> Result<Option<i64>, Error> {
        match self.0.get(i) {
            Some(Value::Null) => Ok(None),
            _ => self.int(i).map(Some),
        }
    }
    /// The real in column `i` (an integer is widened), or None when it is NULL.
    pub fn opt_real(&self, i: usize) -> Result<Option<f64>, Error> {
        match self.0.get(i) {
            Some(Value::Null) => Ok(None),
            Some(Value::Real(v)) => Ok(Some(*v)),
            #[expect(clippy::cast_precision_loss, reason = "a count shown as a real")]
            Some(Value::Int(v)) => Ok(Some(*v as f64)),
            other => Err(Error::Decode(format!("column {i}: expected a real, found {other:?}"))),
        }
    }
    /// The text in column `i`; an error when it is NULL or of another kind.
    pub fn text(&self, i: usize) -> Result<&str, Error> {
        match self.0.get(i) {
            Some(Value::Text(v)) => Ok(v),
            other => Err(Error::Decode(format!("column {i}: expected text, found {other:?}"))),
        }
    }
    /// The text in column `i`, or None when it is NULL.
    pub fn opt_text(&self, i: usize) -> Result<Option<&str>, Error> {
        match self.0.get(i) {
            Some(Value::Null) => Ok(None),
            _ => self.text(i).map(Some),
        }
    }
    /// Takes the text out of column `i`, leaving NULL; for large documents.
    pub fn take_text(&mut self, i: usize) -> Result<Option<String>, Error> {
        match self.0.get_mut(i).map(|v| std::mem::replace(v, Value::Null)) {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(v)) => Ok(Some(v)),
            other => Err(Error::Decode(format!("column {i}: expected text, found {other:?}"))),
        }
    }
}
