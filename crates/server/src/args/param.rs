//! The description of a parameter in the method table.

use serde_json::Value;

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

    pub(super) fn element(self) -> Option<Kind> {
        match self {
            Kind::Ints => Some(Kind::Int),
            Kind::Texts => Some(Kind::Text),
            Kind::Dicts => Some(Kind::Dict),
            Kind::List => Some(Kind::Any),
            _ => None,
        }
    }

    /// Whether a value has this type, strictly.
    pub(super) fn holds(self, value: &Value) -> bool {
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
