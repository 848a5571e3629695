//! Jobs that share files with others, and those that merge what was stored for ranges of events.

use panda_core::{
    job::{record::JobKind, state::JobState},
    policy::events::RangeState,
};
use panda_ops::task::plan::Merge;
use panda_store::{
    Batch,
    query::{job::file::JobFile, task},
};

use super::{
    super::{
        events,
        job::{Made, Reads},
        turn::Job,
    },
    Shared,
};
use crate::EngineError;

impl Shared<'_> {
    /// Notes which jobs share files with this one; what a merge takes is done.
    pub(super) fn share(&self, batch: &mut Batch, jobs: &[Job], at: usize) {
        let (turn, job) = (self.turn, &jobs[at]);
        let first = job.shares.unwrap_or(at);
        if job.shares.is_some() || jobs.get(at + 1).is_some_and(|next| next.shares == Some(at)) {
            task::events::add_job(batch, self.ids[at], turn.t.id, self.ids[first]);
        }
        if turn.kind(job) == JobKind::EsMerge {
            let ids: Vec<i64> = turn.files[job.rows.clone()].iter().map(|f| f.id).collect();
            for ids in ids.chunks(panda_store::MAX_IN_LIST) {
                task::events::move_all(batch, ids, RangeState::Finished, RangeState::Done, turn.now.0);
            }
        }
    }
    /// One merge of what was stored for the ranges of its rows.
    pub(super) fn make_merge(&self, merge: &Merge, jobs: &[Job], at: usize, files: Vec<JobFile>) -> Result<Made, EngineError> {
        let (turn, job) = (self.turn, &jobs[at]);
        let (place, id) = (&turn.places[job.place], self.ids[at]);
        let setting = turn.setting(place);
        let first = turn.files.get(job.rows.start).map_or(0, |f| f.id);
        let mut reads = turn.stored.get(&first).cloned().unwrap_or_default();
        let mut row = setting.row(id, JobKind::EsMerge, place.lane, setting.priority(JobKind::EsMerge, 0));
        if let Some(library) = self.libraries[job.place].as_ref().filter(|_| merge.text.contains("${LIB}")) {
            reads.push(Reads { is_library: true, ..library.reads.clone() });
            if let Some(wait) = library.wait_for {
                row.state = JobState::Defined;
                row.wait_job = Some(wait);
            }
        }
        let outputs: Vec<&str> = files.iter().filter(|f| !f.role.is_log()).map(|f| f.lfn.as_str()).collect();
        let job_pars = events::merge_line(&setting, merge, id, &reads, &outputs)?;
        let doc = setting.own(&row, &job_pars, &reads, &files);
        Ok(Made { row, doc, files })
    }
}
