//! Bodies of task/submit and job/submit: never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use panda_wire::{job_spec, task_params};

fuzz_target!(|text: &str| {
    if let Ok(jobs) = job_spec::decode(text) {
        for job in &jobs {
            let _ = job.describe();
        }
        let _ = job_spec::encode(&jobs);
    }
    if let Ok(value) = serde_json::from_str(text) {
        let _ = task_params::TaskParameters::from_value(value);
    }
});
