//! The task-parameter language: what prun, pathena, pcontainer, phpo and
//! production systems put into `task_parameters` of `task/submit`.
//!
//! Owns the names, types and nesting of every parameter that the clients and the
//! split-rule table know (client sheet section 7, engine sheet 5.2 and 6.2,
//! runner sheet 10.1 and 10.5). Must not decide what a parameter does, nor
//! refuse combinations. Reading is lenient: numbers may be texts, floats or
//! booleans, lists may be comma-separated texts; what is unknown is kept.

mod item;
mod step;

pub use item::{Gigabytes, Item, JobParameter};
pub use step::{BuildSpec, ContainerOptions, HpoRequest, MergeSpec, MultiStepExec, PreproSpec, Step};

use crate::lenient::{FieldError, JsonText, Lenient, TextList};
use crate::record::record;
use serde_json::{Map, Value};

record! {
    /// Everything a task can be given. A member is `None` when its key is absent or null.
    TaskParameters {
        // --- who and what
        /// Name of the task; for client tasks the output container, mostly with a slash at its end.
        task_name: String = "taskName",
        /// Whether a task of this name may exist only once per user.
        unique_task_name: bool = "uniqueTaskName",
        /// Owner's shown name; the server sets it.
        user_name: String = "userName",
        /// Virtual organisation; clients write `atlas` unless told otherwise.
        vo: String = "vo",
        /// `anal`, `prod`, `test`, ...
        task_type: String = "taskType",
        /// `user`, `managed`, `panda`, `test`, ...
        prod_source_label: String = "prodSourceLabel",
        /// Free word that tells the kind of processing.
        processing_type: String = "processingType",
        /// Group on whose behalf the task runs.
        working_group: String = "workingGroup",
        /// Country group.
        country_group: String = "countryGroup",
        /// Campaign name.
        campaign: String = "campaign",
        /// Framework of the submitter.
        framework: String = "framework",
        /// Identifier in a ticket system.
        ticket_id: String = "ticketID",
        /// Which ticket system.
        ticket_system_type: String = "ticketSystemType",
        /// The command line of the submission tool, for people.
        cli_params: String = "cliParams",
        /// Description of the submitter's system; a term condition.
        os_info: String = "osInfo",
        /// Whether the outputs belong to a group.
        official: bool = "official",
        /// No mail at the end.
        no_email: bool = "noEmail",
        /// Parent task id, for systems that send it inside.
        parent_tid: i64 = "parentTaskID",
        /// Request id.
        req_id: i64 = "reqID",
        /// Time to complete requested, as a time stamp.
        ttcr_timestamp: String = "ttcrTimestamp",

        // --- priorities, shares, places
        /// Priority at submission; the server sets it for client tasks.
        task_priority: i64 = "taskPriority",
        /// Priority of the jobs now.
        current_priority: i64 = "currentPriority",
        /// Global share.
        gshare: String = "gshare",
        /// Work queue name.
        work_queue_name: String = "workQueueName",
        /// Cloud.
        cloud: String = "cloud",
        /// Whether the cloud attribute stands for the VO.
        cloud_as_vo: bool = "cloudAsVO",
        /// Queue or comma list of queues to use.
        site: String = "site",
        /// Queues to use.
        included_site: TextList = "includedSite",
        /// Queues not to use.
        excluded_site: TextList = "excludedSite",
        /// Kind of the site list: 1 inclusive, 2 exclusive, 3 both.
        limited_sites: i64 = "limitedSites",
        /// Site of the final outputs.
        nucleus: String = "nucleus",
        /// Weight of nuclei; -1 all.
        t1_weight: i64 = "t1Weight",
        /// Skip queues with virtual placement.
        avoid_vp: bool = "avoidVP",
        /// Queue's operating system must match.
        os_matching: bool = "osMatching",
        /// Full-chain mode.
        full_chain: i64 = "fullChain",
        /// IP version wanted.
        ip_stack: i64 = "ipStack",
        /// Connectivity wanted (`full`, `http`).
        ip_connectivity: String = "ipConnectivity",
        /// Only tags count for fat containers.
        only_tags_for_fc: bool = "onlyTagsForFC",

        // --- program
        /// Program to run, a URL.
        trans_path: String = "transPath",
        /// Release or package base.
        trans_uses: String = "transUses",
        /// Package home.
        trans_home: String = "transHome",
        /// Platform text, or a description as JSON.
        architecture: JsonText = "architecture",
        /// Container image.
        container_name: String = "container_name",
        /// Base URL of the uploaded files (`${SURL}`); the server's own when absent.
        source_url: String = "sourceURL",
        /// Items of the job parameters, in order.
        job_parameters: Vec<JobParameter> = "jobParameters",
        /// Template of the log file; absent means that jobs have no log.
        log: JobParameter = "log",
        /// Template of the log file of merge jobs.
        log_merge: JobParameter = "log_merge",
        /// Steps before and after the payload, container options.
        multi_step_exec: MultiStepExec = "multiStepExec",
        /// Build step.
        build_spec: BuildSpec = "buildSpec",
        /// Merge step.
        merge_spec: MergeSpec = "mergeSpec",
        /// Preprocessing step.
        prepro_spec: PreproSpec = "preproSpec",
        /// Sandbox that stays fixed over retries.
        fixed_sandbox: String = "fixedSandbox",
        /// Sandbox that travels as a dataset, `dataset:file`.
        tar_ball_via_ddm: String = "tarBallViaDDM",
        /// Give the owner's secrets to the payload.
        use_secrets: bool = "useSecrets",
        /// Run jobs in debug mode.
        debug_mode: bool = "debugMode",
        /// Pilot must not convert the command.
        no_exec_str_cnv: bool = "noExecStrCnv",
        /// Job parameters in base64 at dispatch.
        enc_job_params: bool = "encJobParams",
        /// Write the list of inputs to a file.
        write_input_to_file: bool = "writeInputToFile",

        // --- requirements
        /// Cores of a job.
        core_count: i64 = "coreCount",
        /// Most cores of a job.
        max_core_count: i64 = "maxCoreCount",
        /// Memory; see the unit.
        ram_count: i64 = "ramCount",
        /// `MB`, `MBPerCore`, `MBPerCoreFixed`.
        ram_count_unit: String = "ramCountUnit",
        /// The same as `ramCountUnit`, as production systems write it.
        ram_unit: String = "ramUnit",
        /// Memory that does not grow with cores, MB.
        base_ram_count: i64 = "baseRamCount",
        /// Cores of a merge job.
        merge_core_count: i64 = "mergeCoreCount",
        /// Memory of a merge job.
        merge_ram_count: i64 = "mergeRamCount",
        /// Longest wall time of a job, hours.
        max_walltime: i64 = "maxWalltime",
        /// Wall time of a job; clients write the negative limit in seconds.
        walltime: i64 = "walltime",
        /// Unit of `walltime`.
        walltime_unit: String = "walltimeUnit",
        /// Wall time that does not grow with the input, seconds.
        base_walltime: i64 = "baseWalltime",
        /// CPU need, see the unit.
        cpu_time: f64 = "cpuTime",
        /// `HS06sPerEvent`, `HS06sPerEventFixed`, ...
        cpu_time_unit: String = "cpuTimeUnit",
        /// CPU efficiency, per cent.
        cpu_efficiency: i64 = "cpuEfficiency",
        /// Lowest CPU efficiency allowed, per cent.
        min_cpu_efficiency: i64 = "minCpuEfficiency",
        /// Output size, see the unit.
        out_disk_count: f64 = "outDiskCount",
        /// `kB`, `kBFixed`, `MB`, ...
        out_disk_unit: String = "outDiskUnit",
        /// Scratch size, see the unit.
        work_disk_count: f64 = "workDiskCount",
        /// Unit of `workDiskCount`.
        work_disk_unit: String = "workDiskUnit",
        /// Input/output rate, see the unit.
        io_intensity: i64 = "ioIntensity",
        /// Unit of `ioIntensity`.
        io_intensity_unit: String = "ioIntensityUnit",
        /// Memory added at a retry: start.
        retry_ram_offset: i64 = "retryRamOffset",
        /// Memory added at a retry: step.
        retry_ram_step: i64 = "retryRamStep",
        /// Memory added at a retry: most.
        retry_ram_max: i64 = "retryRamMax",

        // --- inputs
        /// The task reads no files; jobs come from numbers.
        no_input: bool = "noInput",
        /// Inputs given as addresses.
        pfn_list: TextList = "pfnList",
        /// Most input files.
        n_files: i64 = "nFiles",
        /// Most events.
        n_events: i64 = "nEvents",
        /// Events in each file, when the catalogue does not tell.
        n_events_per_file: i64 = "nEventsPerFile",
        /// Events in each file as production systems write it.
        n_events_per_input_file: i64 = "nEventsPerInputFile",
        /// Use the event counts of the catalogue.
        use_real_num_events: bool = "useRealNumEvents",
        /// Read event counts from job metadata.
        get_num_events_in_metadata: bool = "getNumEventsInMetadata",
        /// Cut inputs to a multiple of the events of a job.
        skip_short_input: bool = "skipShortInput",
        /// Leave out chunks that are short of events or files.
        skip_short_output: bool = "skipShortOutput",
        /// Tasks whose files are skipped.
        skip_files_used_by: TextList = "skipFilesUsedBy",
        /// Tolerate an incomplete input dataset.
        allow_incomplete_in_ds: bool = "allowIncompleteInDS",
        /// An empty input is no error.
        allow_empty_input: bool = "allowEmptyInput",
        /// Ignore inputs that vanished.
        ignore_missing_in_ds: bool = "ignoreMissingInDS",
        /// Hours to wait for the input.
        wait_input: i64 = "waitInput",
        /// Take files until the dataset is closed.
        run_until_closed: bool = "runUntilClosed",
        /// Order of the files (`eventsAlignment`).
        order_input_by: String = "orderInputBy",
        /// Order by lumiblock.
        order_by_lb: bool = "orderByLB",
        /// One lumiblock a job.
        respect_lb: bool = "respectLB",
        /// Release when a lumiblock is complete.
        release_per_lb: bool = "releasePerLB",
        /// Start of random seeds.
        random_seed: i64 = "randomSeed",
        /// First event number.
        first_event: i64 = "firstEvent",
        /// Use secondary files again when they run out.
        reuse_sec_on_demand: bool = "reuseSecOnDemand",
        /// Generate as soon as one input is ready.
        no_input_pooling: bool = "noInputPooling",
        /// Stage inputs from tape first.
        input_pre_staging: bool = "inputPreStaging",
        /// Position of the event number in the file name.
        in_file_pos_evt_num: bool = "inFilePosEvtNum",
        /// Copy inputs to scratch.
        use_local_io: i64 = "useLocalIO",
        /// The same as `useLocalIO`.
        force_staged: i64 = "forceStaged",
        /// Read over the local network: `use` or `only`.
        allow_input_lan: String = "allowInputLAN",
        /// Read over the wide network.
        allow_input_wan: bool = "allowInputWAN",
        /// `direct` for direct access.
        transfer_type: String = "transferType",
        /// Use the prefetcher.
        use_prefetcher: bool = "usePrefetcher",
        /// Pin inputs through a zip file.
        use_zip_to_pin: bool = "useZipToPin",
        /// Do not wait for the parent task.
        no_wait_parent: bool = "noWaitParent",
        /// Jobs listed in XML.
        load_xml: String = "loadXML",
        /// An uploaded file with a DAG of jobs, one node a line (own extension).
        dag: String = "dag",

        // --- splitting
        /// Number of jobs, for tasks without input.
        n_jobs: i64 = "nJobs",
        /// Files of a job.
        n_files_per_job: i64 = "nFilesPerJob",
        /// Most files of a job.
        n_max_files_per_job: i64 = "nMaxFilesPerJob",
        /// Events of a job.
        n_events_per_job: i64 = "nEventsPerJob",
        /// Most events of a job with a dynamic number.
        max_events_per_job: i64 = "maxEventsPerJob",
        /// Target events of a job.
        tgt_num_events_per_job: i64 = "tgtNumEventsPerJob",
        /// Input size of a job, GB; prun may write `MAX`, which is read as absent.
        n_gb_per_job: Gigabytes = "nGBPerJob",
        /// Target output size with `nGBPerJob`, GB.
        tgt_max_output_for_ng: i64 = "tgtMaxOutputForNG",
        /// Queues that share a chunk.
        n_sites_per_job: i64 = "nSitesPerJob",
        /// Chunks to wait for before jobs are made.
        n_chunks_to_wait: i64 = "nChunksToWait",
        /// How boundaries group files, 1 to 4.
        group_boundary_id: i64 = "groupBoundaryID",
        /// Scouts obey the split rule of the task.
        respect_split_rule: bool = "respectSplitRule",
        /// Least events of a job with a dynamic number.
        min_granularity: i64 = "minGranularity",
        /// The same as `minGranularity`.
        n_events_per_range: i64 = "nEventsPerRange",
        /// Total number of jobs.
        tot_num_jobs: i64 = "totNumJobs",
        /// Most jobs (hyper-parameter optimisation).
        max_num_jobs: i64 = "maxNumJobs",
        /// Segments of work.
        segment_specs: Vec<Map<String, Value>> = "segmentSpecs",
        /// The task works on segments.
        segmented_work: bool = "segmentedWork",

        // --- outputs
        /// Merge the outputs.
        merge_output: bool = "mergeOutput",
        /// Files of a merge job.
        n_files_per_merge_job: i64 = "nFilesPerMergeJob",
        /// Most files of a merge job.
        n_max_files_per_merge_job: i64 = "nMaxFilesPerMergeJob",
        /// Events of a merge job.
        n_events_per_merge_job: i64 = "nEventsPerMergeJob",
        /// Size of a merge job, GB; prun may write `MAX`.
        n_gb_per_merge_job: Gigabytes = "nGBPerMergeJob",
        /// Merge where the outputs are.
        on_site_merging: bool = "onSiteMerging",
        /// Which field of the input name goes into output names.
        add_nth_field_to_lfn: String = "addNthFieldToLFN",
        /// Field comes from the file, not from the dataset.
        use_file_as_source_lfn: bool = "useFileAsSourceLFN",
        /// Output datasets are made from templates.
        instantiate_tmpl: bool = "instantiateTmpl",
        /// Output datasets are made per queue.
        instantiate_tmpl_site: bool = "instantiateTmplSite",
        /// Which outputs are registered with the data system.
        register_datasets: i64 = "registerDatasets",
        /// Data system to use.
        ddm_back_end: String = "ddmBackEnd",
        /// Outputs stay at the queue.
        stay_output_on_site: bool = "stayOutputOnSite",
        /// Alternative stage-out: `on`, `off`, `force`.
        alt_stage_out: String = "altStageOut",
        /// Log files go to an object store.
        put_log_to_os: bool = "putLogToOS",

        // --- attempts, scouts, ends
        /// Attempts of an input file.
        max_attempt: i64 = "maxAttempt",
        /// Failures of an input file.
        max_failure: i64 = "maxFailure",
        /// One attempt only.
        disable_auto_retry: i64 = "disableAutoRetry",
        /// No automatic finish on timeout.
        disable_auto_finish: bool = "disableAutoFinish",
        /// No automatic reassignment of jobs.
        disable_reassign: bool = "disableReassign",
        /// No automatic pause.
        no_auto_pause: bool = "noAutoPause",
        /// Inputs may fail one by one.
        allow_partial_finish: bool = "allowPartialFinish",
        /// No check for looping jobs.
        no_looping_check: bool = "noLoopingCheck",
        /// No scout jobs.
        skip_scout: bool = "skipScout",
        /// Needed success of scouts, per cent.
        scout_success_rate: i64 = "scoutSuccessRate",
        /// The exhausted state is allowed.
        use_exhausted: bool = "useExhausted",
        /// Part of the work that is enough, per cent.
        goal: f64 = "goal",
        /// The task fails below its goal.
        fail_goal_unreached: bool = "failGoalUnreached",
        /// Part of the work that may fail.
        failure_rate: i64 = "failureRate",
        /// Publish status changes.
        push_status_changes: bool = "pushStatusChanges",
        /// Push jobs through messages.
        push_job: bool = "pushJob",
        /// Driven by messages.
        message_driven: bool = "messageDriven",
        /// Hold for the workflow.
        workflow_holdup: bool = "workflowHoldup",
        /// Middle of a full chain.
        intermediate_task: bool = "intermediateTask",
        /// A new submission may change an active task.
        allow_active_task: bool = "allowActiveTask",

        // --- events, clones, optimisation
        /// Events of an event-service worker.
        n_events_per_worker: i64 = "nEventsPerWorker",
        /// Consumers of the same events.
        n_es_consumers: i64 = "nEsConsumers",
        /// Attempts of an event.
        max_attempt_es: i64 = "maxAttemptES",
        /// Attempts of an event-service job.
        max_attempt_es_job: i64 = "maxAttemptEsJob",
        /// Fine-grained bookkeeping by events.
        fine_grained_proc: bool = "fineGrainedProc",
        /// Keep events at a retry.
        not_discard_events: bool = "notDiscardEvents",
        /// A failed event costs an attempt.
        dec_att_on_failed_es: bool = "decAttOnFailedES",
        /// Register event-service files.
        register_es_files: bool = "registerEsFiles",
        /// Merge event-service outputs at the object store.
        merge_es_on_os: bool = "mergeEsOnOS",
        /// Revive consumers.
        resurrect_consumers: bool = "resurrectConsumers",
        /// Ordinary jobs below this number of events.
        switch_es_to_normal: i64 = "switchEStoNormal",
        /// Jumbo jobs.
        n_jumbo_jobs: i64 = "nJumboJobs",
        /// Jumbo jobs of a queue.
        max_jumbo_per_site: i64 = "maxJumboPerSite",
        /// `runonce` or `storeonce`.
        use_job_cloning: String = "useJobCloning",
        /// Hyper-parameter optimisation.
        hpo_workflow: bool = "hpoWorkflow",
        /// What the optimisation asks for.
        hpo_request_data: HpoRequest = "hpoRequestData",
    }
}

impl TaskParameters {
    /// Reads the `task_parameters` value: an object, or a text that holds one.
    ///
    /// # Errors
    /// The first key that cannot be read, with the type that is expected there.
    pub fn from_value(value: Value) -> Result<Self, FieldError> {
        Self::read(value)
            .and_then(|task| task.ok_or_else(|| FieldError::new("an object", &Value::Null)))
            .map_err(|e| if e.key.is_empty() { e.under("task_parameters") } else { e })
    }

    /// Further datasets of an input stream: the value of `dsFor<stream>` (`dsForIN`).
    #[must_use]
    pub fn datasets_for(&self, stream: &str) -> Option<TextList> {
        let value = self.extra.get(&format!("{DATASETS_FOR}{stream}"))?;
        TextList::read(value.clone()).ok().flatten()
    }

    /// Keys that nothing here knows (`dsFor<stream>` is known).
    pub fn unknown_keys(&self) -> impl Iterator<Item = &str> {
        self.extra.keys().map(String::as_str).filter(|key| !key.starts_with(DATASETS_FOR))
    }

    /// Unit of the memory, under either of its two names.
    #[must_use]
    pub fn memory_unit(&self) -> Option<&str> {
        self.ram_count_unit.as_deref().or(self.ram_unit.as_deref())
    }
}

/// Start of the keys that add datasets to an input stream.
const DATASETS_FOR: &str = "dsFor";
