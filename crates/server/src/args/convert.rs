//! Checking and converting one value: JSON values by type, texts of queries and
//! forms by casting (API sheet 0.5).

use super::{Default, Kind, Param};
use panda_wire::{lenient, literal};
use serde_json::Value;

/// Checks a JSON value; lenient parameters are converted. Null stands for the default of an optional parameter.
pub(super) fn check(param: &Param, value: Value) -> Result<Option<Value>, String> {
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
pub(super) fn cast(param: &Param, mut texts: Vec<String>) -> Result<Option<Value>, String> {
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
