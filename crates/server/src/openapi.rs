//! The API's description (OpenAPI 3.1), made from the method table.
//!
//! Owns the translation of rows. Must not say anything that the table does not.

use crate::args::{Default, Kind, Param};
use crate::methods::{self, Intake, Method, Space, Verb};
use panda_access::Ground;
use serde_json::{Map, Value, json};

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for method in methods::all() {
        paths.insert(path(method), item(method));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "PanDA",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every answer of a method is an envelope at status 200; what cannot be read, or is not let in, is plain text with another status.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Envelope": {
                "type": "object",
                "required": ["success", "message", "data"],
                "properties": {"success": {"type": "boolean"}, "message": {"type": "string"}, "data": {}},
            }},
        },
        "paths": paths,
    })
}

fn path(method: &Method) -> String {
    let base = match method.space {
        Space::V1 => "/api/v1",
        Space::Own => "/api/panda/v1",
    };
    match method.module {
        "" => format!("{base}/{}", method.name),
        module => format!("{base}/{module}/{}", method.name),
    }
}

fn item(method: &Method) -> Value {
    let mut item = Map::new();
    if matches!(method.verb, Verb::Get | Verb::Any) {
        item.insert("get".to_owned(), operation(method, true));
    }
    if matches!(method.verb, Verb::Post | Verb::Any) {
        item.insert("post".to_owned(), operation(method, false));
    }
    Value::Object(item)
}

fn operation(method: &Method, is_get: bool) -> Value {
    let raw = matches!(method.intake, Intake::Raw(_));
    let parameters: Vec<Value> = if is_get || raw { method.params.iter().map(parameter).collect() } else { Vec::new() };
    let verb = if is_get { "get" } else { "post" };
    let name = [method.module, method.name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_");
    let mut operation = json!({
        "operationId": format!("{verb}_{name}"),
        "summary": method.about,
        "tags": [if method.module.is_empty() { "own" } else { method.module }],
        "security": if method.right.grounds() == [Ground::Anyone] { json!([]) } else { json!([{"token": []}]) },
        "x-right": method.right.name(),
        "x-scope": method.right.scope().as_str(),
        "x-who": method.right.grounds().iter().map(|g| g.name()).collect::<Vec<_>>(),
        "parameters": parameters,
        "responses": {"200": {
            "description": format!("An envelope; its data: {}", method.answer),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Envelope"}}},
        }},
    });
    if let (false, Value::Object(map)) = (is_get, &mut operation) {
        map.insert("requestBody".to_owned(), body(method));
    }
    operation
}

fn body(method: &Method) -> Value {
    match method.intake {
        Intake::Raw(_) => json!({"content": {"application/octet-stream": {}}}),
        Intake::File(_) => json!({"required": true, "content": {"multipart/form-data": {"schema": {
            "type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}},
        }}}}),
        Intake::Values(_) => {
            let required: Vec<&str> = method.params.iter().filter(|p| p.default == Default::Required).map(|p| p.name).collect();
            let properties: Map<String, Value> = method.params.iter().map(|p| (p.name.to_owned(), schema(p))).collect();
            let schema = json!({"type": "object", "required": required, "properties": properties});
            json!({"required": !required.is_empty(), "content": {"application/json": {"schema": schema}}})
        }
    }
}

fn parameter(param: &Param) -> Value {
    json!({"name": param.name, "in": "query", "required": param.default == Default::Required, "schema": schema(param)})
}

fn schema(param: &Param) -> Value {
    let mut schema = match param.kind {
        Kind::Int => json!({"type": "integer", "format": "int64"}),
        Kind::Float | Kind::Number => json!({"type": "number"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Text => json!({"type": "string"}),
        Kind::Ints => json!({"type": "array", "items": {"type": "integer", "format": "int64"}}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Dicts => json!({"type": "array", "items": {"type": "object"}}),
        Kind::List => json!({"type": "array"}),
        Kind::Dict => json!({"type": "object"}),
        Kind::DictOrText => json!({"type": ["object", "string"]}),
        Kind::IntOrText => json!({"type": ["integer", "string"]}),
        Kind::Any => json!({}),
    };
    let default = match param.default {
        Default::Required | Default::Null => None,
        Default::Int(n) => Some(json!(n)),
        Default::Bool(b) => Some(json!(b)),
        Default::Text(s) => Some(json!(s)),
        Default::Texts(items) => Some(json!(items)),
    };
    if let (Some(default), Value::Object(map)) = (default, &mut schema) {
        map.insert("default".to_owned(), default);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_up_to_date() {
        let text = format!("{:#}\n", document());
        assert!(
            text == include_str!("../openapi.json"),
            "crates/server/openapi.json is old; run `cargo run -p panda-server --example openapi > crates/server/openapi.json`"
        );
    }
}
