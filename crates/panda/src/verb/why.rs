//! `panda why ID`

use serde_json::Value;

use crate::cli::IdArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::reference::Reference;
use crate::screen;
use crate::session::Session;

/// Prints the recorded reasons.
pub async fn run(context: &Context, args: &IdArgs) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let answer = match Reference::parse(&args.id)? {
        Reference::Task(id) => session.client.own_get("task/why", &[("task_id", id)]).await?,
        Reference::Job(id) => session.client.own_get("job/why", &[("job_id", id)]).await?,
    };
    let data = answer.ok()?.data;
    if context.json {
        screen::json(&data);
    } else {
        lines(&data, 0).into_iter().for_each(screen::line);
    }
    Ok(exit::OK)
}

/// Nested data as indented lines: reasons have many shapes, and all are for people.
pub(crate) fn lines(data: &Value, depth: usize) -> Vec<String> {
    let indent = "  ".repeat(depth);
    match data {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !is_empty(value))
            .flat_map(|(key, value)| match value {
                Value::Object(_) | Value::Array(_) => {
                    let mut block = vec![format!("{indent}{}:", key.replace('_', " "))];
                    block.extend(lines(value, depth + 1));
                    block
                }
                plain => vec![format!("{indent}{}: {}", key.replace('_', " "), shown(plain))],
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .flat_map(|item| {
                let mut block = lines(item, depth + 1);
                if let Some(first) = block.first_mut() {
                    *first = format!("{indent}- {}", first.trim_start());
                }
                block
            })
            .collect(),
        plain => vec![format!("{indent}{}", shown(plain))],
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn nested_reasons_are_lines() {
        let data = json!({ "state": "pending", "reason": null, "filters": [{ "filter": "memory", "left": 0 }, { "filter": "cores", "left": 2 }], "next": ["a", "b"] });
        let text = super::lines(&data, 0).join("\n");
        assert_eq!(text, "state: pending\nfilters:\n  - filter: memory\n    left: 0\n  - filter: cores\n    left: 2\nnext:\n  - a\n  - b");
    }
}
