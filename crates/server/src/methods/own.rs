//! Rows of our own namespace, `/api/panda/v1`.

use super::{Intake, Method, Right, Unknown, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::own;

/// Most bytes of one piece of a log.
const LOG_PIECE: u64 = 4 << 20;

const TASK_ID: Param = required("task_id", Kind::Int).lenient();
const JOB_ID: Param = required("job_id", Kind::Int).lenient();
const RULE: Param = required("id", Kind::Int).lenient();
const NAME: Param = required("name", Kind::Text);
const FROM: Param = required("from", Kind::Text);
const TO: Param = required("to", Kind::Text);

const fn int(name: &'static str) -> Param {
    optional(name, Kind::Int).lenient()
}

pub(super) const ROWS: &[Method] = &[
    Method::get("", "whoami", Right::Read, &[], handler!(own::whoami::handle)).own().about("Caller", "The caller's identity and roles."),
    Method::get("", "health", Right::Read, &[], handler!(own::health::handle))
        .own()
        .about("Problems", "What people should look at, one sentence each; empty when all is well."),
    Method::post(
        "pilot",
        "wait",
        Right::PilotAcquireOwn,
        &[required("queue", Kind::Text), int("timeout_s").or(Default::Int(30))],
        handler!(own::pilot_wait::handle),
    )
    .any()
    .own()
    .unknown(Unknown::IgnoredInPost)
    .about("Wake", "Returns when a queue has work, or after the timeout."),
    Method::get(
        "pilot",
        "held",
        Right::PilotAcquire,
        &[required("queue", Kind::Text), required("node", Kind::Text)],
        handler!(own::pilot_held::handle),
    )
    .own()
    .about("HeldJobs", "The jobs that a node was handed and has not ended."),
    Method::get(
        "job",
        "log",
        Right::Read,
        &[
            JOB_ID,
            int("attempt"),
            int("offset").or(Default::Int(0)),
            int("limit"),
            int("wait_s").or(Default::Int(0)),
            optional("stream", Kind::Text).or(Default::Text("stdout")),
            optional("raw", Kind::Bool).or(Default::Bool(false)),
            optional("final", Kind::Bool).or(Default::Bool(false)),
        ],
        handler!(own::job_log::handle),
    )
    .any()
    .own()
    .intake(Intake::Raw(LOG_PIECE))
    .about("LogPiece", "GET reads a piece of a job's log, POST appends one."),
    Method::get("job", "why", Right::Read, &[JOB_ID], handler!(own::job_why::handle)).own().about("Why", "Why a job is where it is."),
    Method::get("task", "why", Right::Read, &[TASK_ID], handler!(own::task_why::handle)).own().about("Why", "Why a task is where it is."),
    Method::get(
        "task",
        "outputs",
        Right::Read,
        &[TASK_ID, optional("after", Kind::Text), int("limit").or(Default::Int(1000))],
        handler!(own::task_outputs::handle),
    )
    .own()
    .about("Outputs", "Registered outputs of a task."),
    Method::get("task", "output", Right::Read, &[TASK_ID, required("lfn", Kind::Text)], handler!(own::task_output::handle))
        .own()
        .about("Bytes", "The bytes of one registered output."),
    Method::post(
        "dataset",
        "add",
        Right::DatasetAdd,
        &[NAME, optional("files", Kind::Dicts), optional("dir", Kind::Text), optional("queue", Kind::Text)],
        handler!(own::dataset_add::handle),
    )
    .own()
    .about("Dataset", "Registers a data set."),
    Method::get(
        "dataset",
        "list",
        Right::Read,
        &[optional("pattern", Kind::Text), optional("after", Kind::Text), int("limit").or(Default::Int(100))],
        handler!(own::dataset_list::handle),
    )
    .own()
    .about("Datasets", "Data sets by name."),
    Method::get(
        "dataset",
        "show",
        Right::Read,
        &[NAME, optional("after", Kind::Text), int("limit").or(Default::Int(1000))],
        handler!(own::dataset_show::handle),
    )
    .own()
    .about("DatasetFiles", "A data set with its files."),
    Method::post(
        "queue",
        "add",
        Right::QueueChange,
        &[NAME, optional("config", Kind::Dict), optional("storage", Kind::Text), optional("pilot", Kind::Text)],
        handler!(own::queue_add::handle),
    )
    .own()
    .about("Queue", "Adds a queue."),
    Method::get("queue", "list", Right::ReadOpen, &[], handler!(own::queue_list::handle)).own().about("Queues", "Queues and their states."),
    Method::get("queue", "show", Right::ReadOpen, &[NAME], handler!(own::queue_show::handle)).own().about("Queue", "One queue."),
    Method::post("queue", "set", Right::QueueChange, &[NAME, required("values", Kind::Dict)], handler!(own::queue_set::handle))
        .own()
        .about("Queue", "Changes settings or the state of a queue."),
    Method::get("queue", "holds", Right::Read, &[], handler!(own::queue_holds::handle))
        .own()
        .about("Holds", "What holds the dispatch now: drains, holds of queues, brakes; each with its reason and what frees it."),
    Method::post("queue", "hold", Right::QueueChange, &[NAME, required("reason", Kind::Text)], handler!(own::queue_hold::handle))
        .own()
        .about("Nothing", "Holds a queue until it is released: it gets no jobs, and brokerage sends nothing new there."),
    Method::post("queue", "release", Right::QueueChange, &[NAME], handler!(own::queue_release::handle))
        .own()
        .about("Count", "Lifts the hold of a queue and its brakes, those of its machines included; how many there were."),
    Method::post(
        "queue",
        "drain",
        Right::QueueChange,
        &[optional("name", Kind::Text), required("reason", Kind::Text)],
        handler!(own::queue_drain::handle),
    )
    .own()
    .about("Nothing", "Stops the dispatch of a queue, or of the server; running jobs go on and are heard."),
    Method::post("queue", "undrain", Right::QueueChange, &[optional("name", Kind::Text)], handler!(own::queue_undrain::handle))
        .own()
        .about("Count", "Lets the dispatch of a queue, or of the server, go on; how many drains there were."),
    Method::get(
        "retention",
        "list",
        Right::Read,
        &[optional("due", Kind::Bool).or(Default::Bool(false))],
        handler!(own::retention_list::handle),
    )
    .own()
    .about("Retention", "What is kept, how much, and until when; with due, what would be removed now."),
    Method::get("retry_rule", "list", Right::Read, &[], handler!(own::retry_rule_list::handle))
        .own()
        .about("RetryRules", "Retry rules: shipped ones, changed ones and those of the site."),
    Method::get("retry_rule", "show", Right::Read, &[RULE], handler!(own::retry_rule_show::handle))
        .own()
        .about("RetryRule", "One retry rule."),
    Method::post("retry_rule", "add", Right::VoSettings, &[required("values", Kind::Dict)], handler!(own::retry_rule_add::handle))
        .own()
        .about("RetryRule", "Adds a retry rule."),
    Method::post("retry_rule", "set", Right::VoSettings, &[RULE, required("values", Kind::Dict)], handler!(own::retry_rule_set::handle))
        .own()
        .about("RetryRule", "Changes a retry rule; null takes a condition away."),
    Method::post("retry_rule", "remove", Right::VoSettings, &[RULE], handler!(own::retry_rule_remove::handle))
        .own()
        .about("RetryRule", "Removes a retry rule of the site; a changed shipped one is as shipped again."),
    Method::get(
        "retry_rule",
        "try",
        Right::Read,
        &[
            int("job_id"),
            optional("source", Kind::Text).or(Default::Text("pilot")),
            int("code"),
            optional("message", Kind::Text),
            optional("vo", Kind::Text),
            optional("label", Kind::Text),
            optional("architecture", Kind::Text),
            optional("release", Kind::Text),
            optional("share", Kind::Text),
        ],
        handler!(own::retry_rule_try::handle),
    )
    .own()
    .about("RetryTrial", "Which rules act on a job that ended badly, or on an error, and what follows."),
    Method::get("setting", "list", Right::Read, &[optional("filter", Kind::Text)], handler!(own::setting_list::handle))
        .own()
        .about("Settings", "Settings with their defaults and the values that differ."),
    Method::post(
        "setting",
        "set",
        Right::VoSettings,
        &[NAME, optional("vo", Kind::Text), optional("label", Kind::Text), required("value", Kind::Text).lenient()],
        handler!(own::setting_set::handle),
    )
    .own()
    .about("Setting", "Changes a setting for a VO and a label, or for all."),
    Method::post(
        "setting",
        "unset",
        Right::VoSettings,
        &[NAME, optional("vo", Kind::Text), optional("label", Kind::Text)],
        handler!(own::setting_unset::handle),
    )
    .own()
    .about("Setting", "Takes a setting back to its shipped value."),
    Method::get("harvester", "list", Right::Read, &[], handler!(own::harvester_list::handle))
        .own()
        .about("Harvesters", "The instances of Harvester that were heard of, with what they have at queues."),
    Method::get("harvester", "show", Right::Read, &[NAME], handler!(own::harvester_show::handle))
        .own()
        .about("Harvester", "One instance of Harvester with its latest commands, messages and measurements."),
    Method::get("queue", "worker_targets", Right::Read, &[NAME], handler!(own::queue_worker_targets::handle))
        .own()
        .about("WorkerTargets", "How many workers of each resource type a queue should get."),
    Method::get("share", "list", Right::Read, &[], handler!(own::share_list::handle)).own().about("Shares", "The configured shares."),
    Method::get("share", "show", Right::Read, &[optional("name", Kind::Text)], handler!(own::share_show::handle))
        .own()
        .about("ShareUse", "Targets of shares, what they use and what waits."),
    Method::post("share", "set", Right::SystemChange, &[NAME, required("values", Kind::Dict)], handler!(own::share_set::handle))
        .own()
        .about("Share", "Adds or changes a share."),
    Method::post("share", "remove", Right::SystemChange, &[NAME], handler!(own::share_remove::handle))
        .own()
        .about("Share", "Takes a share away."),
    Method::get("storage", "list", Right::Read, &[], handler!(own::storage_list::handle))
        .own()
        .about("Storages", "Storage endpoints and the ways between them."),
    Method::get("storage", "show", Right::Read, &[NAME], handler!(own::storage_show::handle))
        .own()
        .about("Storage", "One storage endpoint with the queues that use it and its ways."),
    Method::post(
        "storage",
        "add",
        Right::SystemChange,
        &[NAME, required("root", Kind::Text), optional("values", Kind::Dict)],
        handler!(own::storage_add::handle),
    )
    .own()
    .about("Storage", "Makes a storage endpoint in an absolute directory."),
    Method::post("storage", "set", Right::SystemChange, &[NAME, required("values", Kind::Dict)], handler!(own::storage_set::handle))
        .own()
        .about("Storage", "Changes what is known of a storage endpoint; null forgets."),
    Method::post("storage", "remove", Right::SystemChange, &[NAME], handler!(own::storage_remove::handle))
        .own()
        .about("Nothing", "Takes out a storage endpoint that nothing uses."),
    Method::post(
        "storage",
        "link",
        Right::SystemChange,
        &[FROM, TO, required("cost", Kind::Int).lenient(), int("mbps"), int("queued").or(Default::Int(0))],
        handler!(own::storage_link::handle),
    )
    .own()
    .about("Nothing", "Tells of a way between two storage endpoints: its cost, speed and queue."),
    Method::post("storage", "unlink", Right::SystemChange, &[FROM, TO], handler!(own::storage_unlink::handle))
        .own()
        .about("Nothing", "Takes a way between two storage endpoints out."),
    Method::get("vo", "list", Right::Read, &[], handler!(own::vo_list::handle))
        .own()
        .about("Vos", "The VOs that are served here, with the identity provider of each."),
    Method::get("vo", "show", Right::Read, &[NAME], handler!(own::vo_show::handle)).own().about("Vo", "One VO."),
    Method::post("vo", "set", Right::VoChange, &[NAME, optional("values", Kind::Dict)], handler!(own::vo_set::handle))
        .own()
        .about("Vo", "Adds a VO, or changes its identity provider; null forgets."),
    Method::post("vo", "remove", Right::SystemChange, &[NAME], handler!(own::vo_remove::handle))
        .own()
        .about("Nothing", "Takes out a VO that was added at run time."),
];
