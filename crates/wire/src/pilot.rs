//! Requests and answers between pilot and server, in the names of API v1.
//!
//! Owns their members and the names that the old wire (`/server/panda/`) gives
//! to the same things. Must not know what a server does with them. Reading is
//! lenient, since pilots of all ages send numbers as texts.

use crate::record::record;
use serde_json::{Map, Value};

record! {
    /// `pilot/acquire_jobs` (old: `getJob`).
    AcquireJobs {
        /// Queue of the pilot.
        site_name: String = "site_name",
        /// Seconds the server may take.
        timeout: i64 = "timeout",
        /// Memory at hand, MB.
        memory: i64 = "memory",
        /// Scratch at hand, MB.
        disk_space: i64 = "disk_space",
        /// Which kind of jobs (`user`, `managed`, ...).
        prod_source_label: String = "prod_source_label",
        /// Host of the pilot.
        node: String = "node",
        /// Computing element.
        computing_element: String = "computing_element",
        /// Only jobs of this user.
        prod_user_id: String = "prod_user_id",
        /// Whether a proxy key is wanted.
        get_proxy_key: String = "get_proxy_key",
        /// Only jobs of this task.
        task_id: i64 = "task_id",
        /// How many jobs, one when absent.
        n_jobs: i64 = "n_jobs",
        /// Ask again in the background.
        background: bool = "background",
        /// Only jobs of this resource type.
        resource_type: String = "resource_type",
        /// Harvester that sent the pilot.
        harvester_id: String = "harvester_id",
        /// Worker of that Harvester.
        worker_id: i64 = "worker_id",
        /// Old name of `harvester_id`.
        scheduler_id: String = "scheduler_id",
        /// Kind of job.
        job_type: String = "job_type",
        /// Jobs through a message topic.
        via_topic: bool = "via_topic",
        /// Seconds that the pilot has left.
        remaining_time: i64 = "remaining_time",
    }
}

record! {
    /// `pilot/update_job` (old: `updateJob`), API sheet 10.2.
    UpdateJob {
        /// The job.
        job_id: i64 = "job_id",
        /// `starting`, `running`, `transferring`, `holding`, `finished`, `failed`.
        job_status: String = "job_status",
        /// Files written: JSON text or object, name to size, checksum, address.
        job_output_report: Value = "job_output_report",
        /// Attempt that reports.
        attempt_nr: i64 = "attempt_nr",
        /// Host.
        node: String = "node",
        /// Queue.
        site_name: String = "site_name",
        /// Harvester or scheduler.
        scheduler_id: String = "scheduler_id",
        /// Pilot identity.
        pilot_id: String = "pilot_id",
        /// Batch job.
        batch_id: String = "batch_id",
        /// Grid.
        grid: String = "grid",
        /// Source site.
        source_site: String = "source_site",
        /// Destination site.
        destination_site: String = "destination_site",
        /// CPU architecture level.
        cpu_architecture_level: String = "cpu_architecture_level",
        /// Seconds of the phases, joined by `|`.
        pilot_timing: String = "pilot_timing",
        /// Start of the payload: a time text or epoch seconds.
        start_time: Value = "start_time",
        /// End of the payload.
        end_time: Value = "end_time",
        /// Seconds the server may take.
        timeout: i64 = "timeout",
        /// Exit code of the payload.
        trans_exit_code: i64 = "trans_exit_code",
        /// Error of the pilot.
        pilot_error_code: i64 = "pilot_error_code",
        /// Its text.
        pilot_error_diag: String = "pilot_error_diag",
        /// Error of the payload.
        exe_error_code: i64 = "exe_error_code",
        /// Its text.
        exe_error_diag: String = "exe_error_diag",
        /// Sub-state.
        job_sub_status: String = "job_sub_status",
        /// Corrupted inputs.
        corrupted_files: String = "corrupted_files",
        /// CPU seconds.
        cpu_consumption_time: i64 = "cpu_consumption_time",
        /// Their unit.
        cpu_consumption_unit: String = "cpu_consumption_unit",
        /// CPU factor.
        cpu_conversion_factor: f64 = "cpu_conversion_factor",
        /// Cores used.
        core_count: i64 = "core_count",
        /// Cores used on average.
        mean_core_count: f64 = "mean_core_count",
        /// Events done.
        n_events: i64 = "n_events",
        /// Inputs read.
        n_input_files: i64 = "n_input_files",
        /// Memory, kB: peak resident.
        max_rss: i64 = "max_rss",
        /// Peak virtual.
        max_vmem: i64 = "max_vmem",
        /// Peak swap.
        max_swap: i64 = "max_swap",
        /// Peak proportional.
        max_pss: i64 = "max_pss",
        /// Average resident.
        avg_rss: i64 = "avg_rss",
        /// Average virtual.
        avg_vmem: i64 = "avg_vmem",
        /// Average swap.
        avg_swap: i64 = "avg_swap",
        /// Average proportional.
        avg_pss: i64 = "avg_pss",
        /// Bytes read through calls.
        tot_rchar: i64 = "tot_rchar",
        /// Bytes written through calls.
        tot_wchar: i64 = "tot_wchar",
        /// Bytes read from storage.
        tot_rbytes: i64 = "tot_rbytes",
        /// Bytes written to storage.
        tot_wbytes: i64 = "tot_wbytes",
        /// Their rates.
        rate_rchar: i64 = "rate_rchar",
        /// Rate of written calls.
        rate_wchar: i64 = "rate_wchar",
        /// Rate of reads.
        rate_rbytes: i64 = "rate_rbytes",
        /// Rate of writes.
        rate_wbytes: i64 = "rate_wbytes",
        /// `key=value` pairs.
        job_metrics: String = "job_metrics",
        /// Report of the payload, JSON text.
        meta_data: String = "meta_data",
        /// End of the payload's output, in debug mode.
        stdout: String = "stdout",
        /// End of the pilot's log, on failure.
        pilot_log: String = "pilot_log",
    }
}

record! {
    /// `pilot/update_worker_status` (old: `updateWorkerPilotStatus`).
    UpdateWorkerStatus {
        /// Worker.
        worker_id: i64 = "worker_id",
        /// Its Harvester.
        harvester_id: String = "harvester_id",
        /// `started` or `finished`.
        status: String = "status",
        /// Host.
        node_id: String = "node_id",
        /// Queue (sent, not needed).
        site: String = "site",
    }
}

record! {
    /// `pilot/update_worker_node`.
    UpdateWorkerNode {
        /// Site.
        site: String = "site",
        /// Queue.
        panda_queue: String = "panda_queue",
        /// Host.
        host_name: String = "host_name",
        /// Processor.
        cpu_model: String = "cpu_model",
        /// Logical processors.
        n_logical_cpus: i64 = "n_logical_cpus",
        /// Sockets.
        n_sockets: i64 = "n_sockets",
        /// Cores of a socket.
        cores_per_socket: i64 = "cores_per_socket",
        /// Threads of a core.
        threads_per_core: i64 = "threads_per_core",
        /// Architecture.
        cpu_architecture: String = "cpu_architecture",
        /// Its level.
        cpu_architecture_level: String = "cpu_architecture_level",
        /// MHz.
        clock_speed: f64 = "clock_speed",
        /// MB.
        total_memory: i64 = "total_memory",
        /// GB.
        total_local_disk: i64 = "total_local_disk",
    }
}

record! {
    /// `pilot/update_worker_node_gpu`.
    UpdateWorkerNodeGpu {
        /// Site.
        site: String = "site",
        /// Host.
        host_name: String = "host_name",
        /// Maker.
        vendor: String = "vendor",
        /// Model.
        model: String = "model",
        /// How many.
        count: i64 = "count",
        /// Memory, MB.
        vram: i64 = "vram",
        /// Architecture.
        architecture: String = "architecture",
        /// `CUDA`, `ROCm`, ...
        framework: String = "framework",
        /// Its version.
        framework_version: String = "framework_version",
        /// Driver.
        driver_version: String = "driver_version",
    }
}

record! {
    /// One file of a job output report.
    OutputFile {
        /// Identifier; may be empty.
        guid: String = "guid",
        /// Bytes.
        fsize: i64 = "fsize",
        /// Eight hexadecimal digits.
        adler32: String = "adler32",
        /// The other checksum.
        md5sum: String = "md5sum",
        /// Storage address.
        surl: String = "surl",
        /// Storage endpoint; 3.7 does not send it.
        endpoint: String = "endpoint",
        /// Full name.
        full_lfn: String = "full_lfn",
    }
}

/// The command text for "nothing to do": pilots want a text, never null.
pub const NO_COMMAND: &str = "NULL";

/// Names of `getJob` and what API v1 calls them.
pub const GET_JOB_NAMES: &[(&str, &str)] = &[
    ("siteName", "site_name"),
    ("computingElement", "computing_element"),
    ("prodSourceLabel", "prod_source_label"),
    ("diskSpace", "disk_space"),
    ("mem", "memory"),
    ("node", "node"),
    ("jobType", "job_type"),
    ("prodUserID", "prod_user_id"),
    ("getProxyKey", "get_proxy_key"),
    ("taskID", "task_id"),
    ("viaTopic", "via_topic"),
    ("resourceType", "resource_type"),
    ("harvester_id", "harvester_id"),
    ("worker_id", "worker_id"),
    ("schedulerID", "scheduler_id"),
    ("nJobs", "n_jobs"),
    ("background", "background"),
    ("remainingTime", "remaining_time"),
    ("remaining_time", "remaining_time"),
];

/// Names of `updateJob` and what API v1 calls them.
pub const UPDATE_JOB_NAMES: &[(&str, &str)] = &[
    ("jobId", "job_id"),
    ("state", "job_status"),
    ("siteName", "site_name"),
    ("node", "node"),
    ("attemptNr", "attempt_nr"),
    ("schedulerID", "scheduler_id"),
    ("pilotID", "pilot_id"),
    ("batchID", "batch_id"),
    ("grid", "grid"),
    ("startTime", "start_time"),
    ("endTime", "end_time"),
    ("xml", "job_output_report"),
    ("jobReport", "job_output_report"),
    ("metaData", "meta_data"),
    ("coreCount", "core_count"),
    ("meanCoreCount", "mean_core_count"),
    ("nEvents", "n_events"),
    ("nInputFiles", "n_input_files"),
    ("cpuConsumptionTime", "cpu_consumption_time"),
    ("cpuConversionFactor", "cpu_conversion_factor"),
    ("cpuConsumptionUnit", "cpu_consumption_unit"),
    ("cpu_architecture_level", "cpu_architecture_level"),
    ("maxRSS", "max_rss"),
    ("maxVMEM", "max_vmem"),
    ("maxSWAP", "max_swap"),
    ("maxPSS", "max_pss"),
    ("avgRSS", "avg_rss"),
    ("avgVMEM", "avg_vmem"),
    ("avgSWAP", "avg_swap"),
    ("avgPSS", "avg_pss"),
    ("totRCHAR", "tot_rchar"),
    ("totWCHAR", "tot_wchar"),
    ("totRBYTES", "tot_rbytes"),
    ("totWBYTES", "tot_wbytes"),
    ("rateRCHAR", "rate_rchar"),
    ("rateWCHAR", "rate_wchar"),
    ("rateRBYTES", "rate_rbytes"),
    ("rateWBYTES", "rate_wbytes"),
    ("jobMetrics", "job_metrics"),
    ("pilotTiming", "pilot_timing"),
    ("pilotLog", "pilot_log"),
    ("pilotErrorCode", "pilot_error_code"),
    ("pilotErrorDiag", "pilot_error_diag"),
    ("transExitCode", "trans_exit_code"),
    ("exeErrorCode", "exe_error_code"),
    ("exeErrorDiag", "exe_error_diag"),
    ("jobSubStatus", "job_sub_status"),
    ("corruptedFiles", "corrupted_files"),
    ("stdout", "stdout"),
    ("source_site", "source_site"),
    ("destination_site", "destination_site"),
    ("sourceSite", "source_site"),
    ("destinationSite", "destination_site"),
    ("timeout", "timeout"),
];

/// Names of `updateWorkerPilotStatus` and what API v1 calls them.
pub const WORKER_STATUS_NAMES: &[(&str, &str)] =
    &[("workerID", "worker_id"), ("harvesterID", "harvester_id"), ("status", "status"), ("node_id", "node_id"), ("site", "site")];

/// Gives the members of an old-wire request their v1 names; unknown ones are dropped.
#[must_use]
pub fn rename(request: Map<String, Value>, names: &[(&str, &str)]) -> Map<String, Value> {
    let renamed = request.into_iter().filter_map(|(key, value)| {
        let (_, new) = names.iter().find(|(old, _)| *old == key)?;
        Some(((*new).to_owned(), value))
    });
    renamed.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn old_names_are_all_known() {
        for (_, new) in GET_JOB_NAMES {
            assert!(AcquireJobs::KEYS.contains(new), "{new}");
        }
        for (_, new) in UPDATE_JOB_NAMES {
            assert!(UpdateJob::KEYS.contains(new), "{new}");
        }
        for (_, new) in WORKER_STATUS_NAMES {
            assert!(UpdateWorkerStatus::KEYS.contains(new), "{new}");
        }
    }

    #[test]
    fn reads_forms_of_texts() {
        let form = json!({"jobId": "1001", "state": "running", "startTime": "1795342194.97", "coreCount": "1", "meanCoreCount": "1.5", "x": 1, "attemptNr": "NULL"});
        let update = UpdateJob::from_object(rename(form.as_object().unwrap().clone(), UPDATE_JOB_NAMES)).unwrap();
        assert_eq!(update.job_id, Some(1001));
        assert_eq!(update.attempt_nr, None);
        assert_eq!(update.mean_core_count, Some(1.5));
        assert!(update.extra.is_empty());
    }
}
