//! Methods of `job`.

pub mod generate_offline_execution_script;
pub mod get_description;
pub mod get_description_incl_archive;
pub mod get_metadata_for_analysis_jobs;
pub mod get_status;
pub mod kill;
pub mod reassign;
pub mod set_command;
pub mod set_debug_mode;
pub mod submit;
