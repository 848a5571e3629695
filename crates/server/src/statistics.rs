//! Methods of `statistics`.

pub mod active_job_detailed_stats_by_site;
pub mod active_job_stats_by_site;
