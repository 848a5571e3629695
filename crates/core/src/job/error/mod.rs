//! Error codes of jobs by their source (`spec/engine.md` sections 2.1.1, 3.5 and 11).
//!
//! It must not know rules: what a code makes the system do is a matter of `policy::retry`.

pub mod pilot;

use crate::words::word_enum;

word_enum! {
    /// Who says what went wrong, in the order in which people want to read it.
    Source, "error source" {
        /// The exit status of the transformation.
        Trans = "trans",
        /// The payload's own code.
        Exe = "exe",
        /// The pilot.
        Pilot = "pilot",
        /// Data management: outputs and inputs.
        Ddm = "ddm",
        /// The worker or its batch system.
        Sup = "sup",
        /// The dispatcher: heartbeats.
        Dispatcher = "jobdispatcher",
        /// This server itself.
        Server = "taskbuffer",
    }
}

impl Source {
    /// The name of its code among a report's errors and in the API.
    #[must_use]
    pub const fn code_key(self) -> &'static str {
        match self {
            Self::Trans => "trans_exit_code",
            Self::Exe => "exe_error_code",
            Self::Pilot => "pilot_error_code",
            Self::Ddm => "ddm_error_code",
            Self::Sup => "sup_error_code",
            Self::Dispatcher => "job_dispatcher_error_code",
            Self::Server => "task_buffer_error_code",
        }
    }
    /// The name of its text among a report's errors and in the API; the transformation has none.
    #[must_use]
    pub const fn diag_key(self) -> &'static str {
        match self {
            Self::Trans => "trans_exit_diag",
            Self::Exe => "exe_error_diag",
            Self::Pilot => "pilot_error_diag",
            Self::Ddm => "ddm_error_diag",
            Self::Sup => "sup_error_diag",
            Self::Dispatcher => "job_dispatcher_error_diag",
            Self::Server => "task_buffer_error_diag",
        }
    }
}

/// [`Source::Ddm`]: a report that does not hold: outputs that are missing or not what was said, inputs in other hands (`spec/engine.md` 12.1).
pub const BAD_REPORT: i64 = 200;
/// [`Source::Dispatcher`]: nothing was heard of the pilot for too long.
pub const LOST_HEARTBEAT: i64 = 100;
/// [`Source::Sup`]: the worker was taken from under the job. Our own number.
pub const WORKER_LOST: i64 = 1_003;
/// [`Source::Server`]: the library that the job needs could not be built. Our own number.
pub const BUILD_FAILED: i64 = 1_001;
/// [`Source::Server`]: the job's outputs could not be merged. Our own number.
pub const MERGE_FAILED: i64 = 1_002;
/// [`Source::Server`]: another job with the same files was first (`spec/engine.md` section 3.5).
pub const CLONED: i64 = 200;
/// [`Source::Server`]: killed (`spec/engine.md` section 3.5).
pub const KILLED: i64 = 100;

word_enum! {
    /// Whose matter an error is. The class `system` is not counted against the files (`spec/engine.md` section 11).
    Class, "error class" {
        /// The payload, or what the user asked for.
        User = "user",
        /// The job needed more than it was given.
        Limits = "limits",
        /// Inputs, outputs, storage.
        Data = "data",
        /// The site, the worker, the pilot, this system.
        System = "system",
        /// Somebody wanted it so.
        Wanted = "wanted",
    }
}

/// What the owner of a job can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Nothing: it is tried elsewhere or later.
    Wait,
    /// Mend the payload.
    Payload,
    /// Ask for more memory.
    Memory,
    /// Ask for more time, or give a job less to do.
    Time,
    /// Ask for more disk, or give a job less to do.
    Disk,
    /// Look at the inputs.
    Inputs,
    /// Name the outputs that the payload really makes.
    Outputs,
    /// Shorter or plainer names.
    Names,
    /// Submit again with the sources.
    Sources,
    /// Choose another image or queue.
    Container,
    /// Tell who runs the site.
    Site,
}

impl Advice {
    /// One sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Wait => "there is nothing to change: it is tried again, elsewhere if there is another queue",
            Self::Payload => "run the same command at home with one input, mend it, and submit again with the mended code",
            Self::Memory => "ask for more memory (`ramCount`, `prun --memory`), or give a job fewer inputs",
            Self::Time => "ask for more time (`walltime`), or give a job less to do (`nFilesPerJob`, `nEventsPerJob`)",
            Self::Disk => "ask for more scratch space (`workDiskCount`), write less, or give a job fewer inputs",
            Self::Inputs => "look whether the input is where the data set says (`panda dataset show NAME`), and register it again if not",
            Self::Outputs => "name exactly the files that the payload makes, or let them be absent (`allowNoOutput`)",
            Self::Names => "use shorter names of letters, digits, dots, dashes and underscores",
            Self::Sources => "submit again with the sources (`--useNewCode`)",
            Self::Container => "name an image that the queue can start, or leave out queues without containers",
            Self::Site => "leave the queue out (`excludedSite`) and tell who runs it",
        }
    }
}

/// An error that the system knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its code.
    pub code: i64,
    /// Its name among those who know it.
    pub name: &'static str,
    /// Whose matter it is.
    pub class: Class,
    /// One sentence for people, without a full stop.
    pub text: &'static str,
    /// What its owner can do.
    pub advice: Advice,
}

const fn k(code: i64, name: &'static str, class: Class, advice: Advice, text: &'static str) -> Known {
    Known { code, name, class, text, advice }
}

/// Exit statuses that say more than "failed" (a shell adds 128 to the number of a signal).
const TRANS: &[Known] = &[
    k(126, "NOT_EXECUTABLE", Class::User, Advice::Payload, "the payload's command cannot be executed"),
    k(127, "NOT_FOUND", Class::User, Advice::Payload, "the payload's command was not found"),
    k(134, "ABORT", Class::User, Advice::Payload, "the payload aborted itself"),
    k(135, "BUS_ERROR", Class::User, Advice::Payload, "the payload was ended by a bus error"),
    k(136, "ARITHMETIC", Class::User, Advice::Payload, "the payload was ended by an arithmetic error"),
    k(137, "SIGKILL", Class::Limits, Advice::Memory, "the payload was killed from outside, most often because memory ran out"),
    k(139, "SEGMENTATION_FAULT", Class::User, Advice::Payload, "the payload touched memory that is not its own"),
    k(143, "SIGTERM", Class::System, Advice::Wait, "the payload was told to end from outside"),
    k(152, "SIGXCPU", Class::Limits, Advice::Time, "the payload used more CPU time than it may"),
];

const DDM: &[Known] = &[k(BAD_REPORT, "BAD_REPORT", Class::Data, Advice::Outputs, "what the job reported of its files does not hold")];

const SUP: &[Known] = &[
    k(super::report::INVALID_BATCH_ID, "INVALID_BATCH_ID", Class::System, Advice::Wait, "a second batch job reported for this job"),
    k(WORKER_LOST, "WORKER_LOST", Class::System, Advice::Wait, "the worker was taken from under the job"),
];

const DISPATCHER: &[Known] =
    &[k(LOST_HEARTBEAT, "LOST_HEARTBEAT", Class::System, Advice::Wait, "nothing was heard of the job's pilot for too long")];

/// Codes of this server, with the original's numbers where it has them (`spec/engine.md` section 3.5).
const SERVER: &[Known] = &[
    k(KILLED, "KILLED", Class::Wanted, Advice::Wait, "it was killed"),
    k(101, "TRANSFER", Class::Data, Advice::Wait, "its files could not be moved"),
    k(102, "EXPIRED", Class::System, Advice::Wait, "it stayed too long where it was and was taken back"),
    k(103, "ABORTED", Class::Wanted, Advice::Wait, "it was aborted"),
    k(105, "REASSIGNED", Class::System, Advice::Wait, "it was taken back to be placed anew"),
    k(106, "RETRIED", Class::Wanted, Advice::Wait, "another job took its work up"),
    k(107, "RETRIED_BY_PILOT", Class::System, Advice::Wait, "its pilot took its work up again"),
    k(130, "MOVED", Class::System, Advice::Wait, "it was moved away from a congested queue"),
    k(CLONED, "CLONED", Class::Wanted, Advice::Wait, "another job with the same files was first"),
    k(300, "WORKER_DONE", Class::System, Advice::Wait, "its worker ended without it"),
    k(BUILD_FAILED, "BUILD_FAILED", Class::User, Advice::Payload, "the library that it needs could not be built"),
    k(MERGE_FAILED, "MERGE_FAILED", Class::Data, Advice::Outputs, "its outputs could not be merged"),
];

/// What is known of a code.
#[must_use]
pub fn known(source: Source, code: i64) -> Option<&'static Known> {
    let table = match source {
        Source::Trans => TRANS,
        Source::Exe => return pilot::runner(code),
        Source::Pilot => pilot::ALL,
        Source::Ddm => DDM,
        Source::Sup => SUP,
        Source::Dispatcher => DISPATCHER,
        Source::Server => SERVER,
    };
    table.binary_search_by_key(&code, |k| k.code).ok().map(|at| &table[at])
}

/// Whose matter a code is; an exit status and a code of the payload itself are the payload's matter, whatever they are.
#[must_use]
pub fn class_of(source: Source, code: i64) -> Option<Class> {
    match (known(source, code), source) {
        (Some(k), _) => Some(k.class),
        (None, Source::Trans | Source::Exe) => Some(Class::User),
        (None, _) => None,
    }
}

/// What is known of the codes of a job, the most telling first: who knows the cause comes before who only saw the end. A pilot's "the payload
/// failed" says less than the payload itself.
#[must_use]
pub fn telling(codes: &[(Source, i64)]) -> Option<(Source, i64)> {
    let status = codes.iter().find(|(source, _)| *source == Source::Trans).map_or(0, |(_, code)| *code);
    let rank = |(source, code): &(Source, i64)| match source {
        Source::Server => 0,
        Source::Dispatcher => 1,
        Source::Ddm => 2,
        Source::Pilot if !pilot::is_payload(*code, status) => 3,
        Source::Sup => 4,
        Source::Exe if known(*source, *code).is_some() => 5,
        Source::Trans => 6,
        Source::Exe => 7,
        Source::Pilot => 8,
    };
    codes.iter().filter(|(_, code)| *code != 0).min_by_key(|c| rank(c)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_in_order_and_says_something() {
        for table in [TRANS, DDM, SUP, DISPATCHER, SERVER, pilot::ALL, pilot::RUNNERS] {
            for pair in table.windows(2) {
                assert!(pair[0].code < pair[1].code, "{} and {}", pair[0].code, pair[1].code);
            }
            for k in table {
                assert!(!k.text.is_empty() && !k.text.ends_with('.') && !k.name.is_empty(), "{k:?}");
            }
        }
    }

    #[test]
    fn codes_are_found_by_their_source() {
        assert_eq!(known(Source::Pilot, 1212).unwrap().class, Class::Limits);
        assert_eq!(known(Source::Dispatcher, LOST_HEARTBEAT).unwrap().class, Class::System);
        assert_eq!(known(Source::Server, KILLED).unwrap().class, Class::Wanted);
        assert_eq!(known(Source::Exe, 5318).unwrap().text, "the payload failed");
        assert_eq!((known(Source::Exe, 5399), known(Source::Exe, 65), known(Source::Pilot, 1)), (None, None, None));
        assert_eq!(known(Source::Exe, 5203).unwrap().name, "NO_ARCHIVE");
    }

    #[test]
    fn the_cause_comes_before_what_only_saw_the_end() {
        let payload = [(Source::Trans, 3), (Source::Pilot, pilot::PAYLOAD_FAILED)];
        assert_eq!(telling(&payload), Some((Source::Trans, 3)));
        let memory = [(Source::Trans, 137), (Source::Pilot, 1212)];
        assert_eq!(telling(&memory), Some((Source::Pilot, 1212)));
        assert_eq!(telling(&[(Source::Trans, 3), (Source::Pilot, 1368)]), Some((Source::Trans, 3)), "official pilots misread 3");
        assert_eq!(telling(&[(Source::Pilot, 1368)]), Some((Source::Pilot, 1368)));
        assert_eq!(telling(&[(Source::Pilot, 1137), (Source::Server, KILLED)]), Some((Source::Server, KILLED)));
        assert_eq!(telling(&[(Source::Pilot, 0)]), None);
        assert_eq!((class_of(Source::Trans, 3), class_of(Source::Trans, 137)), (Some(Class::User), Some(Class::Limits)));
        assert_eq!((class_of(Source::Exe, 65), class_of(Source::Pilot, 1)), (Some(Class::User), None));
    }
}
