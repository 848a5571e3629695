//! `panda kill ID...`

use serde_json::{Value, json};

use crate::cli::KillArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::reference::Reference;
use crate::screen;
use crate::session::Session;

/// Ends tasks or jobs; goes on after a refusal and fails at the end.
pub async fn run(context: &Context, args: &KillArgs) -> Result<u8, Failure> {
    let references: Vec<Reference> = args.ids.iter().map(|id| Reference::parse(id)).collect::<Result<_, _>>()?;
    if args.finish && references.iter().any(|reference| matches!(reference, Reference::Job(_))) {
        return Err(Failure::usage("`--finish` is for tasks: a job has no part to keep"));
    }
    let session = Session::open(context)?;
    let mut refused = None;
    let mut told = Vec::new();
    for reference in references {
        let answer = match reference {
            Reference::Task(id) if args.finish => session.client.post("task", "finish", &json!({ "task_id": id, "soft": true })).await?,
            Reference::Task(id) => session.client.post("task", "kill", &json!({ "task_id": id })).await?,
            Reference::Job(id) => session.client.post("job", "kill", &json!({ "job_ids": [id] })).await?,
        };
        let done = answer.success && !is_refused_job(&answer.data);
        let message = if answer.message.is_empty() { if done { "accepted" } else { "refused" }.to_owned() } else { answer.message };
        if !done {
            refused = Some(format!("{reference}: {message}"));
        } else if !context.json {
            screen::line(format!("{reference}: {message}"));
        }
        told.push(json!({ "id": reference.to_string(), "success": done, "message": message }));
    }
    if context.json {
        screen::json(&Value::Array(told));
    }
    refused.map_or(Ok(exit::OK), |message| Err(Failure::new(message)))
}

/// `job/kill` answers with one truth a job.
fn is_refused_job(data: &Value) -> bool {
    data.as_array().is_some_and(|items| items.iter().any(|item| item == &Value::Bool(false)))
}
