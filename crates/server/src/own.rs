//! Methods of our own namespace.

pub mod dataset_add;
pub mod dataset_list;
pub mod dataset_show;
pub mod health;
pub mod job_log;
pub mod job_why;
pub mod pilot_held;
pub mod pilot_wait;
pub mod queue_add;
pub mod queue_drain;
pub mod queue_hold;
pub mod queue_holds;
pub mod queue_list;
pub mod queue_release;
pub mod queue_set;
pub mod queue_show;
pub mod queue_undrain;
pub mod retention_list;
pub mod setting_list;
pub mod setting_set;
pub mod setting_unset;
pub mod task_output;
pub mod task_outputs;
pub mod task_why;
pub mod whoami;
