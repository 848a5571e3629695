//! Tasks whose jobs share events: the event service, clones, bookkeeping by events (`spec/engine.md` sections 3.7, 5.2 and 6.3).

use panda_wire::TaskParameters;

use super::{MOST_ATTEMPTS, Merge, Plan, PlanError, build_merge, positive, wrong};

/// Queues of a set of clones when the task says nothing (`spec/engine.md` section 5.2).
const CLONES: i64 = 2;
/// Most jobs that share their files: each takes a slot.
pub const MOST_SHARING: i64 = 100;

/// How the jobs of a task share events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each takes ranges, as many as it can do; what it leaves others do.
    Service,
    /// Several do the same, one of them counts.
    Clones {
        /// The first that runs counts; else the first that ends well.
        run_once: bool,
    },
    /// Each does all of its events and says how they went.
    Fine,
}

impl Mode {
    /// `eventService` of a task (`spec/engine.md` section 5.2); 0 is a task of ordinary jobs.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Service => 1,
            Self::Clones { .. } => 2,
            Self::Fine => 3,
        }
    }
}

/// What a task says of its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// How jobs share.
    pub mode: Mode,
    /// Events of a range.
    pub each: i64,
    /// Jobs that share their files; at least 1.
    pub sharing: i64,
    /// Queues that they are spread over; at least 1.
    pub sites: i64,
    /// Attempts of a range.
    pub attempts: i64,
    /// Jobs of fewer events are ordinary ones (SE).
    pub ordinary_below: i64,
    /// An attempt that ended badly does not count when it did some of its ranges (XF).
    pub failed_is_free: bool,
    /// A retry keeps what is done of files that are not done (ND).
    pub keeps: bool,
    /// Jobs that take ranges of all files of the task (NJ); 0 = none.
    pub jumbo: i64,
    /// Most of them at a queue (MJ).
    pub jumbo_at_a_queue: Option<i64>,
    /// How the outputs come about, if there are some.
    pub merge: Option<Merge>,
}

impl Events {
    /// Whether jobs of this many events take ranges.
    #[must_use]
    pub const fn is_service(&self) -> bool {
        matches!(self.mode, Mode::Service)
    }
}

fn some(key: &str, value: Option<i64>) -> Result<Option<i64>, PlanError> {
    positive(key, value.filter(|n| *n != 0))
}

/// Reads events; after everything that it looks at.
pub(super) fn read(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let cloning = p.use_job_cloning.as_deref().filter(|w| !w.is_empty());
    let each = some("nEventsPerWorker", p.n_events_per_worker)?;
    let mode = match (cloning, each, p.fine_grained_proc) {
        (Some(word), ..) => Mode::Clones { run_once: word == "runonce" },
        (None, Some(_), _) => Mode::Service,
        (None, None, Some(true)) => Mode::Fine,
        _ => return alone(p),
    };
    let of_service = |key: &str, given: bool| match given && mode != Mode::Service {
        true => Err(wrong(key, "counts only together with `nEventsPerWorker`; leave it out")),
        false => Ok(()),
    };
    of_service("switchEStoNormal", p.switch_es_to_normal.is_some_and(|n| n != 0))?;
    let sites = some("nSitesPerJob", p.n_sites_per_job)?;
    let sharing = match mode {
        Mode::Clones { .. } => some("nEsConsumers", p.n_es_consumers)?.or(sites).unwrap_or(CLONES),
        Mode::Service => some("nEsConsumers", p.n_es_consumers)?.or(sites).unwrap_or(1),
        Mode::Fine => 1,
    };
    if sharing > MOST_SHARING {
        return Err(wrong("nEsConsumers", format!("is {sharing}; at most {MOST_SHARING} jobs share their files")));
    }
    if let Some(n) = some("maxAttemptEsJob", p.max_attempt_es_job)? {
        plan.max_attempt = bounded("maxAttemptEsJob", n)?;
    }
    let attempts = some("maxAttemptES", p.max_attempt_es)?.map_or(Ok(plan.max_attempt), |n| bounded("maxAttemptES", n))?;
    if plan.merge.is_some() && mode != Mode::Fine {
        let what = "is set, but the outputs of the event service are merged in any case, and those of clones are not; leave it out";
        return Err(wrong("mergeOutput", what));
    }
    let merge = if mode == Mode::Service { merge(p, plan)? } else { None };
    let jumbo = if mode == Mode::Service { some("nJumboJobs", p.n_jumbo_jobs)?.unwrap_or(0) } else { 0 };
    if jumbo > MOST_SHARING {
        return Err(wrong("nJumboJobs", format!("is {jumbo}; give at most {MOST_SHARING}")));
    }
    plan.events = Some(Events {
        mode,
        each: each.unwrap_or(1),
        sharing,
        sites: sites.unwrap_or(if matches!(mode, Mode::Clones { .. }) { sharing } else { 1 }),
        attempts,
        ordinary_below: some("switchEStoNormal", p.switch_es_to_normal)?.unwrap_or(0),
        failed_is_free: p.dec_att_on_failed_es == Some(true),
        keeps: p.not_discard_events == Some(true),
        merge,
        jumbo,
        jumbo_at_a_queue: some("maxJumboPerSite", p.max_jumbo_per_site)?,
    });
    Ok(())
}

/// A task whose jobs share nothing asks for nothing of this.
fn alone(p: &TaskParameters) -> Result<(), PlanError> {
    let yes = |n: Option<i64>| n.is_some_and(|n| n != 0);
    let both = "counts only together with `nEventsPerWorker` or `useJobCloning`; leave it out";
    let given = [
        ("nEsConsumers", yes(p.n_es_consumers)),
        ("nSitesPerJob", yes(p.n_sites_per_job)),
        ("maxAttemptES", yes(p.max_attempt_es)),
        ("maxAttemptEsJob", yes(p.max_attempt_es_job)),
        ("switchEStoNormal", yes(p.switch_es_to_normal)),
        ("decAttOnFailedES", p.dec_att_on_failed_es == Some(true)),
        ("notDiscardEvents", p.not_discard_events == Some(true)),
    ];
    given.into_iter().find(|(_, given)| *given).map_or(Ok(()), |(key, _)| Err(wrong(key, both)))
}

fn bounded(key: &str, n: i64) -> Result<i64, PlanError> {
    if n > MOST_ATTEMPTS { Err(wrong(key, format!("is {n}; give at most {MOST_ATTEMPTS}"))) } else { Ok(n) }
}

/// How what consumers stored becomes outputs: as `mergeSpec` says, else by the merge runner's own way for each kind of file.
fn merge(p: &TaskParameters, plan: &Plan) -> Result<Option<Merge>, PlanError> {
    if plan.dag.is_some() || !plan.pfns.is_empty() || plan.pseudo.is_some() {
        return Err(wrong(
            "nEventsPerWorker",
            "needs an input data set whose files have events; name one, or leave `nEventsPerWorker` out",
        ));
    }
    if plan.outputs.iter().any(|o| o.template.starts_with("regex|")) {
        return Err(wrong("nEventsPerWorker", "merges outputs by name, but an output is a pattern (regex|); name the output"));
    }
    if plan.outputs.iter().all(|o| o.is_log) {
        return Ok(None);
    }
    build_merge::merge_of(p, plan, MERGE_TEXT).map(Some)
}

/// The command line of the merge runner when the task gives none.
const MERGE_TEXT: &str = "-r . --sourceURL ${SURL} ${TRN_OUTPUT:OUTPUT}";
