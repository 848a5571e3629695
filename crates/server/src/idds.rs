//! Methods of `idds`: what is relayed to a workflow service, which this server has not.

pub mod execute_idds_workflow_command;
pub mod relay_idds_command;

use crate::answer::Refusal;
use crate::args::Args;
use serde_json::Value;

/// The refusal of a command. Arguments that cannot be read are refused for that first.
fn refused(args: &Args, texts: &[&str]) -> Refusal {
    for name in texts {
        if let Some(Err(error)) = args.text(name).filter(|t| !t.is_empty()).map(serde_json::from_str::<Value>) {
            return Refusal::new(format!("{name} is not valid JSON: {error}"));
        }
    }
    let command: String = args.text("command_name").unwrap_or_default().chars().take(100).collect();
    Refusal::new(format!("command `{command}` is not relayed: there is no iDDS behind this server; {}", crate::workflow::NOT_HERE))
}
