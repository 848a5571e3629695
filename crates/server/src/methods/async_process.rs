//! Rows of `async_process`.

use super::{Method, Right, handler};
use crate::args::{Default, Kind, optional, required};
use crate::async_process as here;

pub(super) const ROWS: &[Method] = &[
    Method::post(
        "async_process",
        "submit_grep_request",
        Right::ServerLogs,
        &[
            required("pattern", Kind::Text),
            required("log_filename", Kind::Text),
            optional("service_name", Kind::Text),
            optional("machine_name", Kind::Text),
        ],
        handler!(here::submit_grep_request::handle),
    )
    .about("RequestId", "Searches a log of the server for a regular expression."),
    Method::post(
        "async_process",
        "submit_sleep_echo_request",
        Right::ServerEcho,
        &[required("service_name", Kind::Text), required("message", Kind::Text), optional("seconds", Kind::Int).or(Default::Int(10))],
        handler!(here::submit_sleep_echo_request::handle),
    )
    .about("RequestId", "Has the machines of a service say a message after a while."),
    Method::get("async_process", "get_result", Right::Read, &[required("request_id", Kind::Text)], handler!(here::get_result::handle))
        .about("RequestResult", "What came of such a request."),
];
