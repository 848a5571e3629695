//! Children of a task that is taken up again: they read their inputs anew, which have what the parent makes now, and wait for it as at first.

use panda_core::{
    machine::Actor,
    task::command::{Command, allowed_from},
};
use panda_ops::{Ops, task::steer};
use panda_store::query::task::{self, TaskRow, transition::TaskCommand};
use serde_json::{Map, Value};

use crate::EngineError;

/// Levels below a task that are taken up with it: a longer chain of tasks is nobody's plan.
const LEVELS: u64 = 10;

/// Takes up the children of a task that ended well or badly, not those that were killed. Only those that ended before the command was given: after a
/// crash the command is carried out again, and no child twice.
pub async fn again(ops: &Ops, parent: &TaskRow, command: &TaskCommand, args: &Value) -> Result<(), EngineError> {
    let levels = args["levels"].as_u64().unwrap_or(LEVELS);
    if args["no_child_retry"] == true || levels == 0 {
        return Ok(());
    }
    let reason = format!("its parent task {} is taken up again", parent.id);
    for child in task::list::children(&ops.store, parent.id).await? {
        if !allowed_from(Command::Retry).contains(&child.state) || child.state_us > command.at_us {
            continue;
        }
        let mut doc = Map::new();
        doc.insert("levels".into(), (levels - 1).into());
        for key in ["keep_gshare_priority", "ignore_hard_exhausted"] {
            if args[key] == true {
                doc.insert(key.into(), true.into());
            }
        }
        steer::by_rule(ops, &child, Command::Incexec, doc, Actor::Engine, &reason).await?;
    }
    Ok(())
}
