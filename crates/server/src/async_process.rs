//! Methods of `async_process`.

pub mod get_result;
pub mod submit_grep_request;
pub mod submit_sleep_echo_request;
