//! Methods of `harvester`.

pub mod acknowledge_commands;
pub mod acquire_commands;
pub mod add_dialogs;
pub mod add_sweep_command;
pub mod add_target_slots;
pub mod get_current_worker_id;
pub mod get_worker_statistics;
pub mod heartbeat;
pub mod report_worker_statistics;
pub mod update_service_metrics;
pub mod update_workers;
