//! Every task parameter that is no split rule (`spec/engine.md` section 5.2), and what it does here.

use super::Here::{self, Effective, Harmless, Kept, No, With};

/// A task parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its key.
    pub key: &'static str,
    /// The column of the original that it fills, or what else it is.
    pub column: &'static str,
    /// What it does here.
    pub here: Here,
}

const fn p(key: &'static str, column: &'static str, here: Here) -> Parameter {
    Parameter { key, column, here }
}

/// The table, in the order of the language.
pub const PARAMETERS: &[Parameter] = &[
    p("taskName", "taskName", Effective),
    p("uniqueTaskName", "one active task of a name and owner", Effective),
    p("userName", "userName", Harmless("the owner is who submits")),
    p("vo", "vo", Effective),
    p("taskType", "taskType", Kept),
    p("prodSourceLabel", "prodSourceLabel", Effective),
    p("processingType", "processingType", Effective),
    p("workingGroup", "workingGroup", Effective),
    p("countryGroup", "countryGroup", Kept),
    p("campaign", "campaign", Kept),
    p("framework", "framework", Kept),
    p("ticketID", "ticketID", Kept),
    p("ticketSystemType", "ticketSystemType", Kept),
    p("cliParams", "the command line, for people", Kept),
    p("osInfo", "termCondition", Kept),
    p("official", "outputs belong to a group", Kept),
    p("noEmail", "no mail at the end", Effective),
    p("parentTaskID", "parent_tid", Effective),
    p("reqID", "reqID = jediTaskID", Harmless("the task's number is its request")),
    p("ttcrTimestamp", "ttcRequested", Kept),
    p("taskPriority", "taskPriority; null = 0", Effective),
    p("currentPriority", "currentPriority = taskPriority", Effective),
    p("gshare", "gshare", Effective),
    p("workQueueName", "workQueue_ID", No("there are no work queues; name a share with `gshare`")),
    p("cloud", "cloud", Effective),
    p("site", "site", Effective),
    p("includedSite", "split rule LS", Effective),
    p("excludedSite", "split rule LS", Effective),
    p("nucleus", "nucleus", Effective),
    p("transPath", "transPath", Effective),
    p("transUses", "transUses", Effective),
    p("transHome", "transHome", Effective),
    p("architecture", "architecture", Effective),
    p("container_name", "container_name", Effective),
    p("sourceURL", "`${SURL}`", Effective),
    p("jobParameters", "templates, data sets, job parameters", Effective),
    p("log", "template of the log", Effective),
    p("log_merge", "template of the log of merge jobs", Harmless("logs of merge jobs go into the data set of `log`")),
    p("mergeSpec", "merge jobs", Effective),
    p("fixedSandbox", "sandbox that stays over retries", Kept),
    p("tarBallViaDDM", "sandbox as a data set", No("sandboxes travel through this server; submit without --tarBallViaDDM")),
    p("coreCount", "coreCount; 1", Effective),
    p("ramCount", "ramCount; 2000 MB for each core", Effective),
    p("ramCountUnit", "ramUnit", Effective),
    p("ramUnit", "ramUnit", Effective),
    p("baseRamCount", "baseRamCount; 0", Effective),
    p("mergeCoreCount", "mergeCoreCount", Effective),
    p("mergeRamCount", "mergeRamCount", Effective),
    p("walltime", "walltime; 0", Effective),
    p("walltimeUnit", "walltimeUnit", Effective),
    p("baseWalltime", "baseWalltime; 600", Effective),
    p("cpuTime", "cpuTime", Effective),
    p("cpuTimeUnit", "cpuTimeUnit", Effective),
    p("cpuEfficiency", "cpuEfficiency; 90", Effective),
    p("outDiskCount", "outDiskCount", Effective),
    p("outDiskUnit", "outDiskUnit", Effective),
    p("workDiskCount", "workDiskCount", Effective),
    p("workDiskUnit", "workDiskUnit", Effective),
    p("ioIntensity", "ioIntensity", Kept),
    p("ioIntensityUnit", "ioIntensityUnit", Kept),
    p("dag", "own: an uploaded file with a DAG of jobs", Effective),
    p("noInput", "pseudo_dataset", Effective),
    p("nFiles", "most files of the master", Effective),
    p("nEvents", "most events of the master", Effective),
    p("nEventsPerFile", "events of each file", Effective),
    p(
        "getNumEventsInMetadata",
        "event counts from job metadata",
        Harmless("events of inputs are those of the catalogue or its plug-in, those of outputs what the payload's metadata says"),
    ),
    p("skipFilesUsedBy", "files of other tasks are left out", Effective),
    p("skipShortInput", "inputs cut to a multiple of `nEventsPerJob`", Effective),
    p("skipShortOutput", "short chunks are left out", Effective),
    p("transferType", "transferType", Effective),
    p("nJobs", "number of jobs without input", Effective),
    p("maxAttempt", "maxAttempt of files; 3", Effective),
    p("maxFailure", "maxFailure of files", Effective),
    p("goal", "goal, per mille; more than all = none", Effective),
    p("failureRate", "failureRate", Effective),
    p("allowActiveTask", "a retry may change an active task", Harmless("a retry with new parameters may in any case")),
    p("hpoRequestData", "what an optimisation asks for", With("hpoWorkflow")),
];
