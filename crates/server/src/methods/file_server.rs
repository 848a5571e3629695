//! Rows of `file_server`.

use super::{Intake, Method, Right, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::file_server as here;

const UPLOAD: &[Param] = &[];
/// Most bytes of a list of events with what stands beside it.
const EVENTS_LIMIT: u64 = 12 << 20;

/// A text that is empty when it is absent.
const fn blank(name: &'static str) -> Param {
    optional(name, Kind::Text).or(Default::Text(""))
}

pub(super) const ROWS: &[Method] = &[
    Method::post(
        "file_server",
        "validate_cache_file",
        Right::CacheUse,
        &[required("file_size", Kind::Int), required("checksum", Kind::IntOrText)],
        handler!(here::validate_cache_file::handle),
    )
    .about("Null", "Looks for an uploaded file of this caller, size and checksum."),
    Method::post("file_server", "upload_cache_file", Right::CacheUse, UPLOAD, handler!(here::upload_cache_file::handle))
        .intake(Intake::File(here::cache_cap))
        .about("Null", "Takes a sandbox or another small file; it is then readable under /cache/."),
    Method::post(
        "file_server",
        "touch_cache_file",
        Right::CacheUse,
        &[required("file_name", Kind::Text)],
        handler!(here::touch_cache_file::handle),
    )
    .about("Null", "Keeps an uploaded file from ageing."),
    Method::post(
        "file_server",
        "delete_cache_file",
        Right::CacheUse,
        &[required("file_name", Kind::Text)],
        handler!(here::delete_cache_file::handle),
    )
    .about("Null", "Succeeds without deleting: files age by themselves."),
    Method::post("file_server", "upload_jedi_log", Right::LogUpload, UPLOAD, handler!(here::upload_jedi_log::handle))
        .intake(Intake::File(here::log_cap))
        .about("Text", "Takes a log file; the answer is its address."),
    Method::post("file_server", "update_jedi_log", Right::LogUpload, UPLOAD, handler!(here::update_jedi_log::handle))
        .intake(Intake::File(here::log_cap))
        .about("Null", "Adds bytes to a log file."),
    Method::get(
        "file_server",
        "download_jedi_log",
        Right::Read,
        &[required("log_name", Kind::Text), optional("offset", Kind::Int).or(Default::Int(0))],
        handler!(here::download_jedi_log::handle),
    )
    .about("Text", "The text of a log file from a byte on, behind one blank and in no envelope."),
    Method::post(
        "file_server",
        "upload_file_recovery_request",
        Right::FileRecovery,
        &[
            optional("task_id", Kind::Int).lenient(),
            optional("dry_run", Kind::Bool),
            optional("dataset", Kind::Text),
            optional("files", Kind::Texts),
            optional("no_child_retry", Kind::Bool).or(Default::Bool(true)),
            optional("resurrect_datasets", Kind::Bool).or(Default::Bool(false)),
            optional("force", Kind::Bool).or(Default::Bool(false)),
            optional("reproduce_parent", Kind::Bool).or(Default::Bool(false)),
            optional("reproduce_upto_nth_gen", Kind::Int).or(Default::Int(0)),
        ],
        handler!(here::upload_file_recovery_request::handle),
    )
    .about("FileRecovery", "Asks for lost output files to be made again."),
    Method::post(
        "file_server",
        "register_cache_file",
        Right::CacheRegister,
        &[
            required("user_name", Kind::Text),
            required("file_name", Kind::Text),
            required("file_size", Kind::Int),
            required("checksum", Kind::Text),
        ],
        handler!(here::register_cache_file::handle),
    )
    .about("Null", "Notes a file that came to the folder of uploads by another way."),
    Method::post("file_server", "upload_hpo_checkpoint", Right::CacheUse, UPLOAD, handler!(here::upload_hpo_checkpoint::handle))
        .intake(Intake::File(here::checkpoint_cap))
        .about("Text", "Keeps the checkpoint of a point of a search (`<task>_<point>`); the answer is its address."),
    Method::post(
        "file_server",
        "delete_hpo_checkpoint",
        Right::CacheUse,
        &[required("task_id", Kind::Text).lenient(), required("sub_id", Kind::Text).lenient()],
        handler!(here::delete_hpo_checkpoint::handle),
    )
    .about("Null", "Takes the checkpoint of a point of a search away."),
    Method::post(
        "file_server",
        "upload_workflow_request",
        Right::WorkflowSubmit,
        &[
            required("data", Kind::Text),
            optional("dry_run", Kind::Bool).or(Default::Bool(false)),
            optional("sync", Kind::Bool).or(Default::Bool(false)),
        ],
        handler!(here::upload_workflow_request::handle),
    )
    .about("Null", "Hands in a workflow in the language of pchain; none are run here."),
    Method::post(
        "file_server",
        "upload_event_picking_request",
        Right::WorkflowSubmit,
        &[
            blank("run_event_list"),
            blank("data_type"),
            blank("stream_name"),
            blank("dataset_name"),
            blank("ami_tag"),
            blank("user_dataset_name"),
            blank("locked_by"),
            blank("parameters"),
            blank("input_file_list"),
            blank("n_sites"),
            blank("user_task_name"),
            blank("ei_api"),
            optional("include_guids", Kind::Bool).or(Default::Bool(false)),
        ],
        handler!(here::upload_event_picking_request::handle),
    )
    .intake(Intake::Values(EVENTS_LIMIT))
    .about("Null", "Asks for events by run and number; there is no index of events here."),
];
