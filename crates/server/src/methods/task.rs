//! Rows of `task`.

use super::{Method, Right, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::task;

const TASK_ID: Param = required("task_id", Kind::Int).lenient();
const CLONED: Param = required("jedi_task_id", Kind::Int).lenient();
const ONE: &[Param] = &[TASK_ID];
const NO: Default = Default::Bool(false);

pub(super) const ROWS: &[Method] = &[
    Method::post(
        "task",
        "submit",
        Right::TaskSubmit,
        &[required("task_parameters", Kind::Dict).lenient(), optional("parent_tid", Kind::Int).lenient()],
        handler!(task::submit::handle),
    )
    .about("TaskId", "Registers a task."),
    Method::get("task", "get_status", Right::Read, ONE, handler!(task::get_status::handle)).about("Text", "The status of a task."),
    Method::get(
        "task",
        "get_details",
        Right::Read,
        &[TASK_ID, optional("include_parameters", Kind::Bool).or(NO), optional("include_status", Kind::Bool).or(NO)],
        handler!(task::get_details::handle),
    )
    .about("TaskDetails", "Data sets, job counts and job ids of a task."),
    Method::get("task", "get_task_parameters", Right::Read, ONE, handler!(task::get_task_parameters::handle))
        .about("TaskParameters", "The parameters a task was submitted with."),
    Method::get("task", "get_job_ids", Right::Read, ONE, handler!(task::get_job_ids::handle)).about("Ids", "The jobs of a task."),
    Method::get(
        "task",
        "get_tasks_detailed_info_since",
        Right::Read,
        &[optional("since", Kind::Text), optional("filters", Kind::Text), optional("n_tasks", Kind::Int).or(Default::Int(500))],
        handler!(task::get_tasks_detailed_info_since::handle),
    )
    .about("Tasks", "Tasks that changed since a time, filtered by attributes."),
    Method::get(
        "task",
        "get_tasks_modified_since",
        Right::Read,
        &[
            required("since", Kind::Text),
            optional("dn", Kind::Text),
            optional("full", Kind::Bool).or(NO),
            optional("min_task_id", Kind::Int),
            optional("prod_source_label", Kind::Text).or(Default::Text("user")),
        ],
        handler!(task::get_tasks_modified_since::handle),
    )
    .about("TasksByRequest", "Tasks that changed since a time, by request id."),
    Method::get(
        "task",
        "get_datasets_and_files",
        Right::Read,
        &[
            TASK_ID,
            optional("dataset_types", Kind::Texts).or(Default::Texts(&["input", "pseudo_input"])),
            optional("dataset_only", Kind::Bool).or(NO),
        ],
        handler!(task::get_datasets_and_files::handle),
    )
    .about("DatasetsAndFiles", "Data sets of a task with their files."),
    Method::get("task", "get_detailed_info", Right::Read, ONE, handler!(task::get_detailed_info::handle))
        .about("Task", "Everything about a task."),
    Method::get("task", "get_parent_detailed_info", Right::Read, ONE, handler!(task::get_parent_detailed_info::handle))
        .about("Task", "Everything about the parent of a task."),
    Method::get(
        "task",
        "get_job_descriptions",
        Right::Read,
        &[TASK_ID, optional("unsuccessful_only", Kind::Bool).or(NO)],
        handler!(task::get_job_descriptions::handle),
    )
    .about("Jobs", "The jobs of a task, described."),
    Method::post("task", "kill", Right::TaskKill, &[TASK_ID, optional("broadcast", Kind::Bool).or(NO)], handler!(task::kill::handle))
        .about("Code", "Ends a task and its jobs."),
    Method::post(
        "task",
        "finish",
        Right::TaskFinish,
        &[TASK_ID, optional("soft", Kind::Bool).or(NO), optional("broadcast", Kind::Bool).or(NO)],
        handler!(task::finish::handle),
    )
    .about("Code", "Ends a task with what it has."),
    Method::post(
        "task",
        "retry",
        Right::TaskRetry,
        &[
            TASK_ID,
            optional("new_parameters", Kind::DictOrText),
            optional("no_child_retry", Kind::Bool).or(NO),
            optional("discard_events", Kind::Bool).or(NO),
            optional("disable_staging_mode", Kind::Bool).or(NO),
            optional("keep_gshare_priority", Kind::Bool).or(NO),
            optional("ignore_hard_exhausted", Kind::Bool).or(NO),
        ],
        handler!(task::retry::handle),
    )
    .about("Code", "Tries what failed again, with new parameters if given."),
    Method::post("task", "pause", Right::TaskPause, ONE, handler!(task::pause::handle))
        .about("Code", "Stops generation and dispatch of jobs."),
    Method::post("task", "resume", Right::TaskResume, ONE, handler!(task::resume::handle)).about("Code", "Goes on after a pause."),
    Method::post(
        "task",
        "reload_input",
        Right::TaskReloadInput,
        &[TASK_ID, optional("ignore_hard_exhausted", Kind::Bool).or(NO)],
        handler!(task::reload_input::handle),
    )
    .about("Code", "Looks for new files in the input data sets."),
    Method::post(
        "task",
        "reactivate",
        Right::TaskSteer,
        &[TASK_ID, optional("keep_attempt_nr", Kind::Bool).or(NO), optional("trigger_job_generation", Kind::Bool).or(NO)],
        handler!(task::reactivate::handle),
    )
    .about("Code", "Takes a finished task up again."),
    Method::post(
        "task",
        "increase_attempts",
        Right::TaskSteer,
        &[TASK_ID, required("increase", Kind::Int)],
        handler!(task::increase_attempts::handle),
    )
    .about("Code", "Allows more attempts for the inputs of a task."),
    Method::post(
        "task",
        "change_split_rule",
        Right::TaskSteer,
        &[TASK_ID, required("attribute_name", Kind::Text), required("value", Kind::Text).lenient()],
        handler!(task::change_split_rule::handle),
    )
    .about("Nothing", "Changes a split rule of a task."),
    Method::post(
        "task",
        "change_attribute",
        Right::TaskSteer,
        &[TASK_ID, required("attribute_name", Kind::Text), required("value", Kind::Int).lenient()],
        handler!(task::change_attribute::handle),
    )
    .about("Nothing", "Changes memory, times or cores of a task."),
    Method::post(
        "task",
        "reassign_global_share",
        Right::TaskSteer,
        &[required("task_id_list", Kind::Ints), required("share", Kind::Text), required("reassign_running_jobs", Kind::Bool)],
        handler!(task::reassign_global_share::handle),
    )
    .about("Code", "Puts tasks and their queued jobs into another share."),
    Method::post(
        "task",
        "change_priority",
        Right::TaskSteer,
        &[TASK_ID, required("priority", Kind::Int)],
        handler!(task::change_priority::handle),
    )
    .about("Code", "Another priority for a task and its queued jobs."),
    Method::post("task", "release", Right::TaskSteer, ONE, handler!(task::release::handle))
        .about("Code", "Drops what a task waits for: its parent, staging, holds."),
    Method::post("task", "avalanche", Right::TaskSteer, ONE, handler!(task::avalanche::handle))
        .about("Code", "Lets all jobs of a task be made without waiting for its scouts."),
    Method::post(
        "task",
        "reassign",
        Right::TaskReassign,
        &[
            TASK_ID,
            optional("site", Kind::Text),
            optional("cloud", Kind::Text),
            optional("nucleus", Kind::Text),
            optional("mode", Kind::Text),
        ],
        handler!(task::reassign::handle),
    )
    .about("Code", "Moves a task elsewhere; its jobs are closed and made anew."),
    Method::post(
        "task",
        "kill_unfinished_jobs",
        Right::JobKill,
        &[TASK_ID, optional("code", Kind::Int), optional("use_email_as_id", Kind::Bool).or(NO)],
        handler!(task::kill_unfinished_jobs::handle),
    )
    .about("Bools", "Ends the jobs of a task that have not ended."),
    Method::post(
        "task",
        "change_modification_time",
        Right::TaskSteer,
        &[TASK_ID, required("hour_offset", Kind::Int)],
        handler!(task::change_modification_time::handle),
    )
    .about("Code", "Shifts the instant that time-driven rules of a task count from."),
    Method::post(
        "task",
        "enable_jumbo_jobs",
        Right::TaskSteer,
        &[TASK_ID, required("jumbo_jobs_total", Kind::Int), optional("jumbo_jobs_per_site", Kind::Int)],
        handler!(task::enable_jumbo_jobs::handle),
    )
    .about("Code", "Lets a task have jobs that take ranges of all its files; 0 ends it."),
    Method::get(
        "task",
        "get_jumbo_job_datasets",
        Right::Read,
        &[required("from_offset", Kind::Int), optional("to_offset", Kind::Int).or(Default::Int(0))],
        handler!(task::get_jumbo_job_datasets::handle),
    )
    .about("Any", "Input data sets of tasks with jumbo jobs that changed within an interval of days, by task."),
    Method::post(
        "task",
        "enable_job_cloning",
        Right::TaskSteer,
        &[CLONED, optional("mode", Kind::Text), optional("multiplicity", Kind::Int), optional("num_sites", Kind::Int)],
        handler!(task::enable_job_cloning::handle),
    )
    .about("Null", "Makes each job of a task several times from now on."),
    Method::post("task", "disable_job_cloning", Right::TaskSteer, &[CLONED], handler!(task::disable_job_cloning::handle))
        .about("Null", "Makes each job of a task once from now on."),
];
