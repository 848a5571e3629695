//! Methods of `job`.

pub mod get_description;
pub mod get_description_incl_archive;
pub mod get_metadata_for_analysis_jobs;
pub mod get_status;
pub mod kill;
pub mod set_debug_mode;
pub mod submit;
