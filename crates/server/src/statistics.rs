//! Methods of `statistics`.

pub mod active_job_detailed_stats_by_site;
pub mod active_job_stats_by_site;
pub mod job_stats_by_cloud;
pub mod job_stats_by_site_and_resource_type;
pub mod job_stats_by_site_share_and_resource_type;
pub mod production_job_stats_by_cloud_and_processing_type;
