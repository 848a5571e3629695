//! Rows of `job`.

use super::{Intake, Method, Right, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::body::SUBMIT_LIMIT;
use crate::job;

const JOB_IDS: Param = required("job_ids", Kind::Ints).lenient();

pub(super) const ROWS: &[Method] = &[
    Method::post("job", "submit", Right::JobSubmit, &[required("jobs", Kind::Text)], handler!(job::submit::handle))
        .intake(Intake::Values(SUBMIT_LIMIT))
        .about("SubmittedJobs", "Submits jobs that belong to no task."),
    Method::get(
        "job",
        "get_status",
        Right::Read,
        &[JOB_IDS, optional("timeout", Kind::Int).or(Default::Int(60))],
        handler!(job::get_status::handle),
    )
    .about("JobStatuses", "Status and pending command of jobs."),
    Method::get("job", "get_description", Right::Read, &[JOB_IDS], handler!(job::get_description::handle))
        .any()
        .about("Jobs", "Describes jobs that are not archived."),
    Method::get("job", "get_description_incl_archive", Right::Read, &[JOB_IDS], handler!(job::get_description_incl_archive::handle))
        .any()
        .about("Jobs", "Describes jobs, archived ones included."),
    Method::get(
        "job",
        "get_metadata_for_analysis_jobs",
        Right::Read,
        &[required("task_id", Kind::Int).lenient()],
        handler!(job::get_metadata_for_analysis_jobs::handle),
    )
    .about("MetadataByJob", "What the payloads of a task reported."),
    Method::post(
        "job",
        "kill",
        Right::JobKill,
        &[
            JOB_IDS,
            optional("code", Kind::Int),
            optional("use_email_as_id", Kind::Bool).or(Default::Bool(false)),
            optional("kill_options", Kind::Texts).or(Default::Texts(&[])),
        ],
        handler!(job::kill::handle),
    )
    .about("Bools", "Ends jobs."),
    Method::post(
        "job",
        "set_debug_mode",
        Right::JobDebug,
        &[required("job_id", Kind::Int).lenient(), required("mode", Kind::Bool).lenient()],
        handler!(job::set_debug_mode::handle),
    )
    .about("Text", "Turns frequent reports of a running job on or off."),
    Method::get(
        "job",
        "generate_offline_execution_script",
        Right::Read,
        &[required("job_id", Kind::Int).lenient(), optional("days", Kind::Int)],
        handler!(job::generate_offline_execution_script::handle),
    )
    .about("Script", "A script that runs a job by hand; plain text, which begins with ERROR where there is none."),
    Method::post("job", "reassign", Right::JobReassign, &[JOB_IDS], handler!(job::reassign::handle))
        .about("Null", "Sends jobs that wait elsewhere."),
    Method::post(
        "job",
        "set_command",
        Right::JobCommand,
        &[required("job_id", Kind::Int).lenient(), required("command", Kind::Text)],
        handler!(job::set_command::handle),
    )
    .about("Null", "Leaves a command for the pilot of a job."),
];
