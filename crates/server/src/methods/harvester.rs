//! Rows of `harvester`. Unknown names in a body are ignored, numbers are lenient: instances of all ages call, and add keys of their own.

use super::{Intake, Method, Right, Unknown, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::body::SUBMIT_LIMIT;
use crate::harvester as here;

const TIMEOUT: Param = optional("timeout", Kind::Int).or(Default::Int(30)).lenient();
const HARVESTER: Param = required("harvester_id", Kind::Text).lenient();
const QUEUE: Param = required("panda_queue", Kind::Text);

pub(super) const ROWS: &[Method] = &[
    Method::post(
        "harvester",
        "update_workers",
        Right::Harvester,
        &[HARVESTER, required("workers", Kind::Dicts).lenient()],
        handler!(here::update_workers::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .intake(Intake::Values(SUBMIT_LIMIT))
    .about("Flags", "Takes what a Harvester tells of its workers."),
    Method::post(
        "harvester",
        "update_service_metrics",
        Right::Harvester,
        &[HARVESTER, required("metrics", Kind::List).lenient()],
        handler!(here::update_service_metrics::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Flags", "Takes what a Harvester measured of its machine."),
    Method::post(
        "harvester",
        "add_dialogs",
        Right::Harvester,
        &[HARVESTER, required("dialogs", Kind::Dicts).lenient()],
        handler!(here::add_dialogs::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Null", "Takes messages of a Harvester."),
    Method::post(
        "harvester",
        "heartbeat",
        Right::Harvester,
        &[HARVESTER, optional("data", Kind::Dict).lenient()],
        handler!(here::heartbeat::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Null", "A Harvester is there; its first word makes it known."),
    Method::get("harvester", "get_current_worker_id", Right::Harvester, &[HARVESTER], handler!(here::get_current_worker_id::handle))
        .about("Number", "The highest number of a worker of a Harvester."),
    Method::get("harvester", "get_worker_statistics", Right::Read, &[], handler!(here::get_worker_statistics::handle))
        .about("WorkerStatistics", "Workers by queue and Harvester, of the last four hours."),
    Method::post(
        "harvester",
        "report_worker_statistics",
        Right::Harvester,
        &[HARVESTER, QUEUE, required("statistics", Kind::DictOrText)],
        handler!(here::report_worker_statistics::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Null", "Takes what a Harvester has at a queue."),
    Method::post(
        "harvester",
        "acquire_commands",
        Right::Harvester,
        &[HARVESTER, required("n_commands", Kind::Int).lenient(), TIMEOUT],
        handler!(here::acquire_commands::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Commands", "Hands a Harvester its commands."),
    Method::post(
        "harvester",
        "acknowledge_commands",
        Right::Harvester,
        &[required("command_ids", Kind::Ints).lenient(), TIMEOUT],
        handler!(here::acknowledge_commands::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("Null", "Commands were carried out."),
    Method::post(
        "harvester",
        "add_sweep_command",
        Right::HarvesterCommand,
        &[QUEUE, required("status_list", Kind::Texts), required("ce_list", Kind::Texts), required("submission_host_list", Kind::Texts)],
        handler!(here::add_sweep_command::handle),
    )
    .about("Null", "Has workers of a queue killed by the Harvesters that serve it."),
    Method::post(
        "harvester",
        "add_target_slots",
        Right::HarvesterCommand,
        &[
            QUEUE,
            required("slots", Kind::Int),
            optional("global_share", Kind::Text),
            optional("resource_type", Kind::Text),
            optional("expiration_date", Kind::Text).lenient(),
        ],
        handler!(here::add_target_slots::handle),
    )
    .about("Null", "How many slots a queue should have."),
];
