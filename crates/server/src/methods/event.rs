//! Rows of `event`. As those of `pilot`: unknown names in a body are ignored, numbers are lenient.

use super::{Intake, Method, Right, Unknown, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::body::SUBMIT_LIMIT;
use crate::event;

const TIMEOUT: Param = optional("timeout", Kind::Int).or(Default::Int(60)).lenient();
/// Harvester sends it as a text.
const JOB: Param = required("job_id", Kind::Int).lenient();

pub(super) const ROWS: &[Method] = &[
    Method::get(
        "event",
        "get_available_event_range_count",
        Right::PilotReport,
        &[JOB, optional("jobset_id", Kind::Int).lenient(), optional("task_id", Kind::Int).lenient(), TIMEOUT],
        handler!(event::get_available_event_range_count::handle),
    )
    .about("AvailableRanges", "How many ranges of events a job could get."),
    Method::get(
        "event",
        "get_event_range_statuses",
        Right::Read,
        &[required("job_task_ids", Kind::Text)],
        handler!(event::get_event_range_statuses::handle),
    )
    .about("RangeStatuses", "How the ranges of events of jobs stand."),
    Method::post(
        "event",
        "acquire_event_ranges",
        Right::PilotReport,
        &[
            JOB,
            optional("jobset_id", Kind::Int).lenient(),
            optional("task_id", Kind::Int).lenient(),
            optional("n_ranges", Kind::Int).or(Default::Int(10)).lenient(),
            TIMEOUT,
            optional("scattered", Kind::Bool).lenient(),
            optional("segment_id", Kind::Int).lenient(),
        ],
        handler!(event::acquire_event_ranges::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("EventRanges", "Hands ranges of events to a job."),
    Method::post(
        "event",
        "update_single_event_range",
        Right::PilotReport,
        &[
            required("event_range_id", Kind::Text),
            required("event_range_status", Kind::Text),
            optional("core_count", Kind::Int).lenient(),
            optional("cpu_consumption_time", Kind::Number).lenient(),
            optional("object_store_id", Kind::Int).lenient(),
            TIMEOUT,
        ],
        handler!(event::update_single_event_range::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .about("RangeCommand", "Takes what a job says of one range of events."),
    Method::post(
        "event",
        "update_event_ranges",
        Right::PilotReport,
        &[required("event_ranges", Kind::Any), optional("version", Kind::Int).lenient(), TIMEOUT],
        handler!(event::update_event_ranges::handle),
    )
    .unknown(Unknown::IgnoredInPost)
    .intake(Intake::Values(SUBMIT_LIMIT))
    .about("RangesTaken", "Takes what jobs say of their ranges of events."),
];
