//! `panda retry TASK`

use serde_json::{Map, Value, json};

use crate::cli::RetryArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::reference::Reference;
use crate::screen;
use crate::session::Session;

/// Tries again what failed, with new parameters if given.
pub async fn run(context: &Context, args: &RetryArgs) -> Result<u8, Failure> {
    let task = Reference::task(&args.id)?;
    let mut body = json!({ "task_id": task });
    if !args.set.is_empty() {
        body["new_parameters"] = Value::Object(pairs(&args.set)?);
    }
    let session = Session::open(context)?;
    let answer = session.client.post("task", "retry", &body).await?.ok()?;
    if context.json {
        screen::json(&json!({ "task_id": task, "message": answer.message, "data": answer.data }));
    } else {
        screen::line(format!("task/{task}: {}", if answer.message.is_empty() { "accepted" } else { &answer.message }));
    }
    Ok(exit::OK)
}

/// `KEY=VALUE`; a value that is JSON is taken as such, anything else as text.
pub(super) fn pairs(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let one = |pair: &String| {
        let (key, value) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty())?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Some((key.trim().to_owned(), value))
    };
    given.iter().map(|pair| one(pair).ok_or_else(|| Failure::usage(format!("`{pair}` is not KEY=VALUE")))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json_where_they_can_be() {
        let given = ["a=1", "b=x", "c=[1]", "d=", "e=\"1\"", "f=a=b"].map(str::to_owned);
        assert_eq!(Value::Object(pairs(&given).unwrap()), json!({ "a": 1, "b": "x", "c": [1], "d": "", "e": "1", "f": "a=b" }));
        assert!(pairs(&["a".to_owned()]).is_err() && pairs(&["=1".to_owned()]).is_err());
    }
}
