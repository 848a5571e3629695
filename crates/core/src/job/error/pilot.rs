//! Codes of pilots (`spec/pilot.md` section 10) and of payload runners (`spec/payload_runners.md` section 8), with sentences of our own.

use super::{Advice, Class, Known, k};

/// The code of a pilot that only says that the payload failed: the payload knows more.
pub const PAYLOAD_FAILED: i64 = 1_305;

/// Whether a pilot's code only means that the payload exited with this status: official pilots take the statuses 2 and 3 for failures of their own
/// (`spec/pilot.md` section 10).
#[must_use]
pub const fn is_payload(code: i64, status: i64) -> bool {
    code == PAYLOAD_FAILED || (code == 1_368 && status == 3) || (code == 1_378 && status == 2)
}

/// Pilots' codes, in order.
pub const ALL: &[Known] = &[
    k(1_008, "GENERALERROR", Class::System, Advice::Wait, "the pilot failed for a reason that only its own log tells"),
    k(1_098, "NOLOCALSPACE", Class::System, Advice::Wait, "the node has too little local disk space"),
    k(1_099, "STAGEINFAILED", Class::Data, Advice::Inputs, "an input could not be fetched"),
    k(1_100, "REPLICANOTFOUND", Class::Data, Advice::Inputs, "no copy of an input was found"),
    k(1_103, "NOSUCHFILE", Class::Data, Advice::Inputs, "a file that the job needs does not exist"),
    k(1_104, "USERDIRTOOLARGE", Class::Limits, Advice::Disk, "the payload wrote more to its work directory than it may"),
    k(1_106, "STDOUTTOOBIG", Class::User, Advice::Payload, "the payload printed more than it may"),
    k(1_110, "SETUPFAILURE", Class::System, Advice::Wait, "the payload's surroundings could not be set up"),
    k(1_115, "NFSSQLITE", Class::System, Advice::Wait, "a database file on a network disk could not be locked"),
    k(1_116, "QUEUEDATA", Class::System, Advice::Wait, "the pilot could not read the description of its queue"),
    k(1_117, "QUEUEDATANOTOK", Class::System, Advice::Site, "the description of the queue cannot be used"),
    k(1_124, "OUTPUTFILETOOLARGE", Class::Limits, Advice::Disk, "an output is larger than it may be"),
    k(1_133, "NOSTORAGE", Class::System, Advice::Site, "the queue has no storage for this activity"),
    k(1_137, "STAGEOUTFAILED", Class::Data, Advice::Wait, "an output could not be stored"),
    k(1_141, "PUTMD5MISMATCH", Class::Data, Advice::Wait, "an output arrived damaged at the storage (md5)"),
    k(1_143, "CHMODTRF", Class::System, Advice::Wait, "the payload's script could not be made executable"),
    k(1_144, "PANDAKILL", Class::Wanted, Advice::Wait, "the server told the pilot to end the job"),
    k(1_145, "GETMD5MISMATCH", Class::Data, Advice::Inputs, "an input is not what the catalogue says (md5)"),
    k(1_149, "TRFDOWNLOADFAILURE", Class::System, Advice::Wait, "the payload's script could not be downloaded"),
    k(1_150, "LOOPINGJOB", Class::User, Advice::Payload, "the payload wrote nothing for so long that it was taken for hanging"),
    k(1_151, "STAGEINTIMEOUT", Class::Data, Advice::Wait, "fetching the inputs took too long"),
    k(1_152, "STAGEOUTTIMEOUT", Class::Data, Advice::Wait, "storing the outputs took too long"),
    k(1_163, "NOPROXY", Class::System, Advice::Wait, "the pilot has no valid credential"),
    k(1_165, "MISSINGOUTPUTFILE", Class::User, Advice::Outputs, "the payload did not make an output that it was to make"),
    k(1_168, "SIZETOOLARGE", Class::Limits, Advice::Disk, "the inputs together are larger than the node can take"),
    k(1_171, "GETADMISMATCH", Class::Data, Advice::Inputs, "an input is not what the catalogue says (adler32)"),
    k(1_172, "PUTADMISMATCH", Class::Data, Advice::Wait, "an output arrived damaged at the storage (adler32)"),
    k(1_177, "NOVOMSPROXY", Class::System, Advice::Wait, "the pilot's credential names no group"),
    k(1_180, "GETGLOBUSSYSERR", Class::Data, Advice::Wait, "the transfer of an input broke"),
    k(1_181, "PUTGLOBUSSYSERR", Class::Data, Advice::Wait, "the transfer of an output broke"),
    k(1_186, "NOSOFTWAREDIR", Class::System, Advice::Site, "the software directory is not there"),
    k(1_187, "NOPAYLOADMETADATA", Class::User, Advice::Payload, "the payload left no description of what it did"),
    k(1_190, "LFNTOOLONG", Class::User, Advice::Names, "a file name has more than 255 characters"),
    k(1_191, "ZEROFILESIZE", Class::User, Advice::Outputs, "an output is empty"),
    k(1_199, "MKDIR", Class::System, Advice::Wait, "a directory could not be made on the node"),
    k(1_200, "KILLSIGNAL", Class::System, Advice::Wait, "the job was ended by a signal"),
    k(1_201, "SIGTERM", Class::System, Advice::Wait, "the job was told to end by its node"),
    k(1_202, "SIGQUIT", Class::System, Advice::Wait, "the job was ended by the signal QUIT"),
    k(1_203, "SIGSEGV", Class::System, Advice::Wait, "the pilot touched memory that is not its own"),
    k(1_204, "SIGXCPU", Class::Limits, Advice::Time, "the job used more CPU time than its node allows"),
    k(1_205, "USERKILL", Class::Wanted, Advice::Wait, "a person ended the job on its node"),
    k(1_206, "SIGBUS", Class::System, Advice::Wait, "the job was ended by a bus error"),
    k(1_207, "SIGUSR1", Class::System, Advice::Wait, "the batch system ended the job (USR1)"),
    k(1_208, "SIGINT", Class::System, Advice::Wait, "the job was interrupted on its node"),
    k(1_211, "MISSINGINSTALLATION", Class::System, Advice::Site, "software that the job needs is not installed"),
    k(1_212, "PAYLOADOUTOFMEMORY", Class::Limits, Advice::Memory, "the payload ran out of memory"),
    k(1_213, "REACHEDMAXTIME", Class::Limits, Advice::Time, "the job ran longer than it may"),
    k(1_220, "UNKNOWNPAYLOADFAILURE", Class::User, Advice::Payload, "the payload failed for a reason that only its log tells"),
    k(1_221, "FILEEXISTS", Class::Data, Advice::Wait, "a file of this name lies in the storage already"),
    k(1_223, "BADALLOC", Class::Limits, Advice::Memory, "the payload could not get the memory that it asked for"),
    k(1_224, "ESRECOVERABLE", Class::System, Advice::Wait, "events could not be processed this time"),
    k(1_228, "ESFATAL", Class::User, Advice::Payload, "events cannot be processed"),
    k(1_234, "EXECUTEDCLONEJOB", Class::Wanted, Advice::Wait, "a twin of the job was faster"),
    k(1_235, "PAYLOADEXCEEDMAXMEM", Class::Limits, Advice::Memory, "the payload used more memory than it was granted"),
    k(1_236, "FAILEDBYSERVER", Class::System, Advice::Wait, "the server declared the job failed"),
    k(1_238, "ESNOEVENTS", Class::Wanted, Advice::Wait, "no events were left for the job"),
    k(1_240, "MESSAGEHANDLINGFAILURE", Class::System, Advice::Wait, "messages between payload and pilot broke"),
    k(1_242, "CHKSUMNOTSUP", Class::System, Advice::Site, "the storage cannot tell checksums"),
    k(1_244, "NORELEASEFOUND", Class::System, Advice::Site, "the queue has no release that fits"),
    k(1_246, "NOUSERTARBALL", Class::Data, Advice::Sources, "the user's sources could not be downloaded"),
    k(1_247, "BADXML", Class::User, Advice::Payload, "a description that the payload left cannot be read"),
    k(1_300, "NOTIMPLEMENTED", Class::System, Advice::Site, "the pilot does not know how to do what is needed"),
    k(1_301, "UNKNOWNEXCEPTION", Class::System, Advice::Wait, "the pilot broke in an unknown way"),
    k(1_302, "CONVERSIONFAILURE", Class::System, Advice::Wait, "the pilot could not read what it was given"),
    k(1_303, "FILEHANDLINGFAILURE", Class::System, Advice::Wait, "the pilot could not handle a file"),
    k(1_305, "PAYLOADEXECUTIONFAILURE", Class::User, Advice::Payload, "the payload failed"),
    k(1_306, "SINGULARITYGENERALFAILURE", Class::System, Advice::Container, "the container failed"),
    k(1_307, "SINGULARITYNOLOOPDEVICES", Class::System, Advice::Wait, "the node can start no further containers"),
    k(1_308, "SINGULARITYBINDPOINTFAILURE", Class::System, Advice::Site, "a directory could not be shown inside the container"),
    k(1_309, "SINGULARITYIMAGEMOUNTFAILURE", Class::System, Advice::Container, "the image could not be mounted"),
    k(1_310, "PAYLOADEXECUTIONEXCEPTION", Class::System, Advice::Wait, "the pilot broke while the payload ran"),
    k(1_311, "NOTDEFINED", Class::System, Advice::Wait, "something that the pilot needs is not defined"),
    k(1_312, "NOTSAMELENGTH", Class::System, Advice::Wait, "lists in the job's description do not fit each other"),
    k(1_313, "NOSTORAGEPROTOCOL", Class::System, Advice::Site, "the storage offers no way in that the pilot knows"),
    k(1_314, "UNKNOWNCHECKSUMTYPE", Class::System, Advice::Site, "a checksum is of an unknown kind"),
    k(1_315, "UNKNOWNTRFFAILURE", Class::User, Advice::Payload, "the payload ended without saying why"),
    k(1_316, "RUCIOSERVICEUNAVAILABLE", Class::System, Advice::Wait, "the data catalogue does not answer"),
    k(1_317, "EXCEEDEDMAXWAITTIME", Class::System, Advice::Wait, "something that the pilot waited for did not come"),
    k(1_318, "COMMUNICATIONFAILURE", Class::System, Advice::Wait, "the pilot could not reach the server"),
    k(1_319, "INTERNALPILOTPROBLEM", Class::System, Advice::Wait, "the pilot broke inside"),
    k(1_320, "LOGFILECREATIONFAILURE", Class::System, Advice::Wait, "the log archive could not be made"),
    k(1_321, "RUCIOLOCATIONFAILED", Class::System, Advice::Wait, "the data catalogue does not know where the node is"),
    k(1_322, "RUCIOLISTREPLICASFAILED", Class::System, Advice::Wait, "the data catalogue could not list the copies of the inputs"),
    k(1_323, "UNKNOWNCOPYTOOL", Class::System, Advice::Site, "the queue names a tool for copies that the pilot does not know"),
    k(1_324, "SERVICENOTAVAILABLE", Class::System, Advice::Wait, "a service that the pilot needs does not answer"),
    k(1_325, "SINGULARITYNOTINSTALLED", Class::System, Advice::Container, "no container engine is installed on the node"),
    k(1_326, "NOREPLICAS", Class::Data, Advice::Inputs, "the catalogue knows no copy of an input within reach"),
    k(1_327, "UNREACHABLENETWORK", Class::System, Advice::Wait, "the node cannot reach the storage of an input"),
    k(1_328, "PAYLOADSIGSEGV", Class::User, Advice::Payload, "the payload touched memory that is not its own"),
    k(1_329, "NONDETERMINISTICDDM", Class::System, Advice::Site, "addresses in the storage cannot be made from names"),
    k(1_330, "JSONRETRIEVALTIMEOUT", Class::System, Advice::Wait, "a description took too long to come"),
    k(1_331, "MISSINGINPUTFILE", Class::Data, Advice::Inputs, "an input is not in the storage where the catalogue says it is"),
    k(1_332, "BLACKHOLE", Class::System, Advice::Site, "the node's file system swallows files"),
    k(1_333, "NOREMOTESPACE", Class::System, Advice::Wait, "the storage of the outputs is full"),
    k(1_334, "SETUPFATAL", Class::User, Advice::Payload, "the payload's own set-up failed"),
    k(1_335, "MISSINGUSERCODE", Class::User, Advice::Sources, "the user's sources are not on the server any more"),
    k(1_336, "JOBALREADYRUNNING", Class::System, Advice::Wait, "the job runs elsewhere already"),
    k(1_337, "BADMEMORYMONITORJSON", Class::System, Advice::Wait, "the memory monitor wrote nonsense"),
    k(1_338, "STAGEINAUTHENTICATIONFAILURE", Class::System, Advice::Wait, "the storage of an input did not let the pilot in"),
    k(1_339, "DBRELEASEFAILURE", Class::System, Advice::Wait, "the database release could not be used"),
    k(1_340, "SINGULARITYNEWUSERNAMESPACE", Class::System, Advice::Site, "the node does not let containers have users of their own"),
    k(1_341, "BADQUEUECONFIGURATION", Class::System, Advice::Site, "the queue is configured wrongly"),
    k(1_342, "MIDDLEWAREIMPORTFAILURE", Class::System, Advice::Site, "software of the pilot is missing on the node"),
    k(1_343, "NOOUTPUTINJOBREPORT", Class::User, Advice::Outputs, "the payload's own report lists no outputs"),
    k(1_344, "RESOURCEUNAVAILABLE", Class::System, Advice::Wait, "the node has no room for another process"),
    k(1_345, "SINGULARITYFAILEDUSERNAMESPACE", Class::System, Advice::Site, "the container could not get users of its own"),
    k(1_346, "TRANSFORMNOTFOUND", Class::User, Advice::Payload, "the payload's script does not exist"),
    k(1_347, "UNSUPPORTEDSL5OS", Class::System, Advice::Site, "the node's operating system is too old"),
    k(1_348, "SINGULARITYRESOURCEUNAVAILABLE", Class::System, Advice::Wait, "the node has no room for another container"),
    k(1_349, "UNRECOGNIZEDTRFARGUMENTS", Class::User, Advice::Payload, "the payload does not know its own arguments"),
    k(1_350, "EMPTYOUTPUTFILE", Class::User, Advice::Outputs, "an output is empty"),
    k(1_351, "UNRECOGNIZEDTRFSTDERR", Class::User, Advice::Payload, "the payload wrote a fatal error that is not known"),
    k(1_352, "STATFILEPROBLEM", Class::System, Advice::Wait, "the node does not tell what the payload uses"),
    k(1_353, "NOSUCHPROCESS", Class::System, Advice::Wait, "the payload vanished while it was looked at"),
    k(1_354, "GENERALCPUCALCPROBLEM", Class::System, Advice::Wait, "CPU time could not be counted"),
    k(1_355, "COREDUMP", Class::User, Advice::Payload, "the payload crashed and left a memory image"),
    k(1_356, "PREPROCESSFAILURE", Class::User, Advice::Payload, "the step before the payload failed"),
    k(1_357, "POSTPROCESSFAILURE", Class::User, Advice::Payload, "the step after the payload failed"),
    k(1_358, "MISSINGRELEASEUNPACKED", Class::System, Advice::Container, "the image lacks the set-up of its release"),
    k(1_359, "PANDAQUEUENOTACTIVE", Class::System, Advice::Wait, "the queue is not active"),
    k(1_360, "IMAGENOTFOUND", Class::User, Advice::Container, "the image was not found"),
    k(1_361, "REMOTEFILECOULDNOTBEOPENED", Class::Data, Advice::Inputs, "an input that is read in place could not be opened"),
    k(1_362, "XRDCPERROR", Class::Data, Advice::Wait, "an input could not be opened for copying"),
    k(1_363, "KILLPAYLOAD", Class::Wanted, Advice::Wait, "the driver of the payload ended it"),
    k(1_364, "MISSINGCREDENTIALS", Class::System, Advice::Site, "credentials for the object store are missing"),
    k(1_365, "NOCTYPES", Class::System, Advice::Site, "a module of Python is missing on the node"),
    k(1_366, "CHECKSUMCALCFAILURE", Class::System, Advice::Wait, "a checksum could not be computed"),
    k(1_367, "COMMANDTIMEDOUT", Class::System, Advice::Wait, "a command of the pilot took too long"),
    k(
        1_368,
        "REMOTEFILEOPENTIMEDOUT",
        Class::Data,
        Advice::Wait,
        "opening an input that is read in place took too long (official pilots also say so of a payload that exits with 3)",
    ),
    k(1_369, "FRONTIER", Class::System, Advice::Wait, "the conditions database did not answer"),
    k(1_370, "VOMSPROXYABOUTTOEXPIRE", Class::System, Advice::Wait, "the pilot's credential was about to expire"),
    k(1_371, "BADOUTPUTFILENAME", Class::User, Advice::Names, "an output's name has characters that it may not have"),
    k(1_372, "APPTAINERNOTINSTALLED", Class::System, Advice::Container, "no container engine is installed on the node"),
    k(1_373, "CERTIFICATEHASEXPIRED", Class::System, Advice::Site, "a certificate has expired"),
    k(1_374, "REMOTEFILEDICTDOESNOTEXIST", Class::System, Advice::Wait, "what is known of inputs read in place was lost"),
    k(1_375, "LEASETIME", Class::System, Advice::Wait, "the node's lease ended"),
    k(1_376, "LOGCREATIONTIMEOUT", Class::System, Advice::Wait, "packing the log took too long"),
    k(1_377, "CVMFSISNOTALIVE", Class::System, Advice::Wait, "the software file system does not answer on the node"),
    k(
        1_378,
        "LSETUPTIMEDOUT",
        Class::System,
        Advice::Wait,
        "setting up software took too long (official pilots also say so of a payload that exits with 2)",
    ),
    k(1_379, "PREEMPTION", Class::System, Advice::Wait, "the node was needed for something else"),
    k(1_380, "ARCPROXYFAILURE", Class::System, Advice::Wait, "the credential tool failed"),
    k(1_381, "ARCPROXYLIBFAILURE", Class::System, Advice::Wait, "the credential tool misses a library"),
    k(1_382, "PROXYTOOSHORT", Class::System, Advice::Wait, "the pilot's credential is valid for too short a time"),
    k(1_383, "STAGEOUTAUTHENTICATIONFAILURE", Class::System, Advice::Wait, "the storage of the outputs did not let the pilot in"),
    k(1_384, "QUEUENOTSETUPFORCONTAINERS", Class::System, Advice::Container, "the queue is not set up for containers"),
    k(1_385, "NOJOBSINPANDA", Class::System, Advice::Wait, "the pilot found no job"),
    k(1_386, "PANDAQUEUENOTONLINE", Class::System, Advice::Wait, "the queue is not online"),
];

/// What a payload runner's report says: its code is 5000, a hundred for each kind of runner, and one of these.
pub const RUNNERS: &[Known] = &[
    k(1, "BAD_ARGUMENT", Class::User, Advice::Payload, "the runner was called with an argument that it does not know"),
    k(2, "SOFTWARE", Class::System, Advice::Wait, "software could not be set up"),
    k(3, "NO_ARCHIVE", Class::Data, Advice::Sources, "the archive of the sources could not be fetched"),
    k(4, "NO_ROOT", Class::System, Advice::Site, "ROOT could not be set up"),
    k(5, "BAD_CATALOGUE", Class::Data, Advice::Wait, "the catalogue of the inputs cannot be read"),
    k(6, "APPLICATION", Class::User, Advice::Payload, "the application failed"),
    k(7, "NO_INPUT", Class::Data, Advice::Inputs, "none of the inputs is there"),
    k(8, "SOME_INPUT_MISSING", Class::Data, Advice::Inputs, "some of the inputs are not there"),
    k(9, "BAD_ARCHIVE", Class::User, Advice::Sources, "the archive of the sources is damaged"),
    k(10, "DATABASE_RELEASE", Class::Data, Advice::Wait, "the database release cannot be used"),
    k(11, "NO_EVENTS", Class::User, Advice::Payload, "there are no events to process"),
    k(12, "NO_MORE_EVENTS", Class::User, Advice::Payload, "the inputs have fewer events than asked for"),
    k(13, "HYPER_PARAMETERS", Class::User, Advice::Payload, "the hyper-parameter step failed"),
    k(14, "LOOP_LIMIT", Class::User, Advice::Payload, "the payload reached its limit of repetitions"),
    k(15, "NO_OUTPUT", Class::User, Advice::Outputs, "the payload made no output"),
    k(16, "OUTPUT_MISSING", Class::User, Advice::Outputs, "the payload did not make an output that it was to make"),
    k(17, "NO_SCRIPT", Class::User, Advice::Payload, "the script was not found"),
    k(18, "PAYLOAD", Class::User, Advice::Payload, "the payload failed"),
    k(19, "GOOD_RUNS", Class::Data, Advice::Wait, "the list of good runs could not be fetched"),
    k(20, "GOOD_RUNS_BAD", Class::User, Advice::Payload, "the list of good runs cannot be used"),
    k(21, "FILE_TYPE", Class::User, Advice::Payload, "files of this type cannot be merged"),
];

/// Codes of runners begin here; seven kinds of runners follow, a hundred each.
const RUNNERS_FROM: i64 = 5_100;
const RUNNERS_BELOW: i64 = 5_800;

/// What is known of a payload runner's code.
#[must_use]
pub fn runner(code: i64) -> Option<&'static Known> {
    if !(RUNNERS_FROM..RUNNERS_BELOW).contains(&code) {
        return None;
    }
    RUNNERS.binary_search_by_key(&(code % 100), |k| k.code).ok().map(|at| &RUNNERS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_documented_code() {
        assert_eq!((ALL.len(), RUNNERS.len()), (147, 21));
        assert_eq!((ALL[0].code, ALL[ALL.len() - 1].code), (1_008, 1_386));
    }
}
