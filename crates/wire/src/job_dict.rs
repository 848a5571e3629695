//! The job dictionary that a pilot gets: names and order of its keys.
//!
//! Owns the two lists of API sheet 10.1 and the texts for missing values. Must
//! not know where the values come from.

/// Keys that are always there, in the order in which they are sent.
pub const ALWAYS: [&str; 51] = [
    "PandaID",
    "prodSourceLabel",
    "swRelease",
    "homepackage",
    "transformation",
    "jobName",
    "jobDefinitionID",
    "cloud",
    "inFiles",
    "dispatchDblock",
    "dispatchDBlockToken",
    "dispatchDBlockTokenForOut",
    "outFiles",
    "destinationDblock",
    "destinationDBlockToken",
    "prodDBlocks",
    "prodDBlockToken",
    "realDatasets",
    "realDatasetsIn",
    "fileDestinationSE",
    "logFile",
    "logGUID",
    "jobPars",
    "attemptNr",
    "GUID",
    "checksum",
    "fsize",
    "scopeIn",
    "scopeOut",
    "scopeLog",
    "ddmEndPointIn",
    "ddmEndPointOut",
    "destinationSE",
    "prodUserID",
    "maxCpuCount",
    "minRamCount",
    "maxDiskCount",
    "cmtConfig",
    "processingType",
    "transferType",
    "sourceSite",
    "currentPriority",
    "taskID",
    "coreCount",
    "jobsetID",
    "reqID",
    "nucleus",
    "maxWalltime",
    "resource_type",
    "ioIntensity",
    "ioIntensityUnit",
];

/// Keys that follow [`ALWAYS`] in every answer.
pub const CLOSING: [&str; 2] = ["nSent", "StatusCode"];

/// Keys that are there only when they say something.
pub const CONDITIONAL: [&str; 27] = [
    "loopingCheck",
    "debug",
    "cloneJob",
    "eventService",
    "prodDBlockTokenForOutput",
    "eventServiceMerge",
    "writeToFile",
    "allowNoOutput",
    "altStageOut",
    "putLogToOS",
    "noExecStrCnv",
    "inFilePosEvtNum",
    "usePrefetcher",
    "container_name",
    "isHPO",
    "useVP",
    "onSiteMerging",
    "preprocess",
    "postprocess",
    "coprocess",
    "containerOptions",
    "secrets",
    "pilotSecrets",
    "credname",
    "myproxy",
    "scheduler_ip",
    "session_ip",
];

/// What stands for a missing value in a text or in a comma list.
pub const MISSING: &str = "NULL";

/// Joins the values of one positional list; a missing value is `NULL`, so that
/// the lists stay aligned.
pub fn join<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut out = String::new();
    for (i, value) in values.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(value.filter(|v| !v.is_empty()).unwrap_or(MISSING));
    }
    out
}

/// Splits a positional list; `NULL` and empty places are `None`, an empty text is no list.
pub fn split(list: &str) -> impl Iterator<Item = Option<&str>> {
    let pieces = if list.is_empty() { None } else { Some(list.split(',')) };
    pieces.into_iter().flatten().map(|v| Some(v.trim()).filter(|v| !v.is_empty() && *v != MISSING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stay_aligned() {
        let list = join([Some("a"), None, Some("")]);
        assert_eq!(list, "a,NULL,NULL");
        assert_eq!(split(&list).collect::<Vec<_>>(), [Some("a"), None, None]);
        assert_eq!(split("").count(), 0);
    }
}
