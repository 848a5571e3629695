//! What must not be seen on a page: values under keys that hold secrets.

use serde_json::Value;

/// What stands in place of a secret.
const MASK: &str = "(hidden)";

/// Most bytes of a document on a page: browsers stall on more, and nobody reads it.
const MAX_SHOWN: usize = 200_000;

/// Pieces of key names whose values are secrets. `useSecrets` and the like are answers of yes or no and stay.
const SECRET: [&str; 6] = ["secret", "password", "passwd", "accesstoken", "idtoken", "privatekey"];

/// Replaces secrets in place, however deep.
pub(crate) fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
                let hidden = SECRET.iter().any(|s| key.contains(s));
                match value {
                    Value::Bool(_) | Value::Null => {}
                    v if hidden => *v = MASK.into(),
                    v => mask(v),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

/// A stored document as a value without its secrets; text that is no JSON is left out, since nothing could be masked in it.
pub(crate) fn parsed(doc: &str) -> Value {
    let mut value = serde_json::from_str(doc).unwrap_or_default();
    mask(&mut value);
    value
}

/// For reading: indented, several lines, at most [`MAX_SHOWN`] bytes.
pub(crate) fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    if text.len() > MAX_SHOWN {
        text.truncate(text.floor_char_boundary(MAX_SHOWN));
        text.push_str("\n… cut here; this page as JSON has the rest");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden() {
        let mut v = json!({"secrets": "{\"a\": 1}", "useSecrets": true, "deep": [{"PANDA_ID_TOKEN": "x", "password": {"p": 1}}], "token": "ATLASDATADISK"});
        mask(&mut v);
        assert_eq!(
            v,
            json!({"secrets": MASK, "useSecrets": true, "deep": [{"PANDA_ID_TOKEN": MASK, "password": MASK}], "token": "ATLASDATADISK"})
        );
        assert_eq!(parsed("{not json"), Value::Null);
        let long = pretty(&json!("ä".repeat(MAX_SHOWN)));
        assert!(long.len() < MAX_SHOWN + 100 && long.contains("ä\n… cut here"));
    }
}
