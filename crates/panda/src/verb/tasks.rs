//! `panda tasks`

use serde_json::{Map, Value, json};

use super::view::{self, Task};
use crate::cli::TasksArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// Lists tasks, the newest first.
pub async fn run(context: &Context, args: &TasksArgs) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let mut filters = Map::new();
    let mut filter = |key: &str, value: &Option<String>, pattern: bool| {
        if let Some(value) = value {
            // Values are read as expressions: a part of a name is one, what is meant literally is not.
            filters.insert(key.to_owned(), json!(if pattern { format!(".*{value}.*") } else { value.clone() }));
        }
    };
    filter("status", &args.status, false);
    filter("taskName", &args.name, true);
    filter("userName", &args.user, false);
    let since =
        jiff::Timestamp::now().checked_sub(jiff::Span::new().hours(i64::from(args.days) * 24)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let query = [
        ("since", since.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        ("filters", Value::Object(filters).to_string()),
        ("n_tasks", args.limit.to_string()),
    ];
    let data = session.client.get("task", "get_tasks_detailed_info_since", &query).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let mut tasks: Vec<Task> = data.as_array().map(|tasks| tasks.iter().map(Task::read).collect()).unwrap_or_default();
    tasks.sort_by_key(|task| std::cmp::Reverse(task.id));
    let rows = tasks.iter().map(row).collect();
    screen::table(&["TASK", "STATUS", "DONE", "FAILED", "ALL", "SUBMITTED", "NAME"], rows, "no tasks; `panda run -- echo hello` makes one");
    Ok(exit::OK)
}

fn row(task: &Task) -> Vec<String> {
    vec![
        format!("task/{}", task.id),
        task.status.clone(),
        task.finished.to_string(),
        task.failed.to_string(),
        task.files.to_string(),
        view::moment(&task.created),
        task.name.trim_end_matches('/').to_owned(),
    ]
}
