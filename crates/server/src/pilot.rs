//! Methods of `pilot`.

pub mod acquire_jobs;
pub mod update_job;
pub mod update_jobs_bulk;

pub mod get_job_status;
pub mod update_worker_node;
pub mod update_worker_node_gpu;
pub mod update_worker_status;
