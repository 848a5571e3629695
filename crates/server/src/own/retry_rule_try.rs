//! `GET retry_rule/try`: which rules act on a job that ended badly, or on an error.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::{id::JobId, policy::retry::rule::About};
use panda_ops::rule::trial::{Ask, on, trial};

/// Errors, rules, and what follows.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |key: &str| args.text(key).unwrap_or_default();
    let job = args.int("job_id");
    let code = args.int("code");
    Ok(Answer::data(match (job, code) {
        (Some(job), None) => trial(ctx.ops(), ctx.caller()?, JobId(job)).await?,
        (None, Some(code)) => {
            let job = About {
                vo: text("vo"),
                label: text("label"),
                architecture: text("architecture"),
                release: text("release"),
                share: text("share"),
            };
            on(ctx.ops(), ctx.caller()?, &Ask { source: text("source"), code, message: text("message"), job }).await?
        }
        _ => return Err(Refusal::new("either job_id, or source and code of an error, must be given")),
    }))
}
