//! Rows of `pilot`. Unknown names in a body are ignored, numbers are lenient:
//! pilots of all ages call.

use super::{Intake, Method, Right, Unknown, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::body::SUBMIT_LIMIT;
use crate::pilot;

const TIMEOUT: Param = optional("timeout", Kind::Int).or(Default::Int(60)).lenient();

const fn text(name: &'static str) -> Param {
    optional(name, Kind::Text).lenient()
}

const fn int(name: &'static str) -> Param {
    optional(name, Kind::Int).lenient()
}

const fn number(name: &'static str) -> Param {
    optional(name, Kind::Number).lenient()
}

const ACQUIRE: &[Param] = &[
    required("site_name", Kind::Text),
    TIMEOUT,
    int("memory"),
    int("disk_space"),
    text("prod_source_label"),
    text("node"),
    text("computing_element"),
    text("prod_user_id"),
    text("get_proxy_key"),
    int("task_id"),
    optional("n_jobs", Kind::Int).or(Default::Int(1)),
    optional("background", Kind::Bool).lenient(),
    text("resource_type"),
    text("harvester_id"),
    int("worker_id"),
    text("scheduler_id"),
    text("job_type"),
    optional("via_topic", Kind::Bool).lenient(),
    int("remaining_time"),
];

/// `update_job`; the order puts what every heartbeat brings in front.
const UPDATE: &[Param] = &[
    required("job_id", Kind::Int).lenient(),
    required("job_status", Kind::Text),
    int("attempt_nr"),
    text("node"),
    text("site_name"),
    text("pilot_id"),
    text("scheduler_id"),
    text("batch_id"),
    optional("start_time", Kind::Any),
    optional("end_time", Kind::Any),
    optional("job_output_report", Kind::Any),
    optional("meta_data", Kind::Any),
    int("core_count"),
    number("mean_core_count"),
    int("cpu_consumption_time"),
    text("cpu_consumption_unit"),
    number("cpu_conversion_factor"),
    text("cpu_architecture_level"),
    int("n_events"),
    int("n_input_files"),
    text("pilot_timing"),
    text("job_metrics"),
    text("stdout"),
    text("pilot_log"),
    text("grid"),
    text("source_site"),
    text("destination_site"),
    TIMEOUT,
    int("trans_exit_code"),
    int("pilot_error_code"),
    text("pilot_error_diag"),
    int("exe_error_code"),
    text("exe_error_diag"),
    text("job_sub_status"),
    text("corrupted_files"),
    number("max_rss"),
    number("max_vmem"),
    number("max_swap"),
    number("max_pss"),
    number("avg_rss"),
    number("avg_vmem"),
    number("avg_swap"),
    number("avg_pss"),
    number("tot_rchar"),
    number("tot_wchar"),
    number("tot_rbytes"),
    number("tot_wbytes"),
    number("rate_rchar"),
    number("rate_wchar"),
    number("rate_rbytes"),
    number("rate_wbytes"),
];

pub(super) const ROWS: &[Method] = &[
    // The right is that of an identified caller: without a role a pilot gets its owner's jobs only.
    Method::post("pilot", "acquire_jobs", Right::PilotAcquireOwn, ACQUIRE, handler!(pilot::acquire_jobs::handle))
        .unknown(Unknown::IgnoredInPost)
        .about("AcquiredJobs", "Hands jobs to a pilot."),
    Method::get(
        "pilot",
        "get_job_status",
        Right::Read,
        &[required("job_ids", Kind::Ints).lenient(), TIMEOUT],
        handler!(pilot::get_job_status::handle),
    )
    .about("PilotJobStatuses", "Status and attempt of jobs."),
    Method::post("pilot", "update_job", Right::PilotReport, UPDATE, handler!(pilot::update_job::handle))
        .unknown(Unknown::IgnoredInPost)
        .about("UpdateAnswer", "Takes a pilot's report about its job."),
    Method::post(
        "pilot",
        "update_jobs_bulk",
        Right::PilotReport,
        &[required("job_list", Kind::Dicts).lenient(), text("harvester_id")],
        handler!(pilot::update_jobs_bulk::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .intake(Intake::Values(SUBMIT_LIMIT))
    .about("Envelopes", "Takes reports about several jobs."),
    Method::post(
        "pilot",
        "update_worker_status",
        Right::PilotReport,
        &[
            required("worker_id", Kind::Any),
            required("harvester_id", Kind::Text).lenient(),
            required("status", Kind::Text),
            TIMEOUT,
            optional("node_id", Kind::Any),
            text("site"),
        ],
        handler!(pilot::update_worker_status::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Null", "Takes the start or end of a worker from its pilot."),
    Method::post(
        "pilot",
        "update_worker_node",
        Right::PilotReport,
        &[
            required("site", Kind::Text),
            required("host_name", Kind::Text),
            required("cpu_model", Kind::Text),
            text("panda_queue"),
            int("n_logical_cpus"),
            int("n_sockets"),
            int("cores_per_socket"),
            int("threads_per_core"),
            text("cpu_architecture"),
            text("cpu_architecture_level"),
            number("clock_speed"),
            int("total_memory"),
            int("total_local_disk"),
            TIMEOUT,
        ],
        handler!(pilot::update_worker_node::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Null", "Takes the description of a worker node."),
    Method::post(
        "pilot",
        "update_worker_node_gpu",
        Right::PilotReport,
        &[
            required("site", Kind::Text),
            required("host_name", Kind::Text),
            required("vendor", Kind::Text),
            required("model", Kind::Text),
            required("count", Kind::Int).lenient(),
            int("vram"),
            text("architecture"),
            text("framework"),
            text("framework_version"),
            text("driver_version"),
            TIMEOUT,
        ],
        handler!(pilot::update_worker_node_gpu::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Null", "Takes the description of a worker node's accelerators."),
];
