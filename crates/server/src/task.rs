//! Methods of `task`.

pub mod avalanche;
pub mod change_attribute;
pub mod change_modification_time;
pub mod change_priority;
pub mod change_split_rule;
pub mod disable_job_cloning;
pub mod enable_job_cloning;
pub mod enable_jumbo_jobs;
pub mod finish;
pub mod get_datasets_and_files;
pub mod get_detailed_info;
pub mod get_details;
pub mod get_job_descriptions;
pub mod get_job_ids;
pub mod get_jumbo_job_datasets;
pub mod get_parent_detailed_info;
pub mod get_status;
pub mod get_task_parameters;
pub mod get_tasks_detailed_info_since;
pub mod get_tasks_modified_since;
pub mod increase_attempts;
pub mod kill;
pub mod kill_unfinished_jobs;
pub mod pause;
pub mod reactivate;
pub mod reassign;
pub mod reassign_global_share;
pub mod release;
pub mod reload_input;
pub mod resume;
pub mod retry;
pub mod submit;

use crate::answer::Answer;
use panda_ops::task::command;
use serde_json::json;

/// What a command answers: its code as data, success when it was taken.
fn answer(given: command::Answer) -> Answer {
    let success = given.taken();
    Answer::Envelope { success, message: given.message, data: json!(given.code).into(), command: None }
}
