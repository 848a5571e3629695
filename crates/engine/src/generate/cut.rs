//! Splits the ready rows of a task into jobs, queue by queue (`spec/engine.md` section 6.1).

use std::{
    hash::{Hash, Hasher},
    ops::Range,
};

use panda_core::{
    policy::split::{self, Row, Stop},
    setting::feed as settings,
};
use panda_store::query::task::file::TaskFile;

use super::{
    events::Phase,
    place::Places,
    turn::{Job, Turn, memory},
};
use crate::{EngineError, scout};

/// What splitting came to.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub jobs: Vec<Job>,
    /// Where each secondary set stands.
    pub next: Vec<usize>,
    /// Why rows are left.
    pub stop: Option<Stop>,
    /// Rows that no job will have (`skipShortOutput`).
    pub short: Option<Range<usize>>,
}

impl Turn<'_> {
    fn row(&self, f: &TaskFile, fields: &[usize]) -> Row {
        let stand = self.stands.get(&f.id);
        let field = if fields.is_empty() && stand.is_none() {
            0
        } else {
            let mut h = std::hash::DefaultHasher::new();
            h.write(self.middle(fields, Some(f)).as_bytes());
            stand.hash(&mut h);
            h.finish()
        };
        Row {
            file: f.file_no,
            bytes: f.fsize.unwrap_or(0),
            events: f.n_events.unwrap_or(0),
            range: f.first_event.zip(f.last_event),
            boundary: f.boundary,
            lumiblock: f.lumiblock,
            ram_mb: memory(f, self.refined.plan.needs.ram.mb),
            field,
            set: 0,
        }
    }
    /// Draws queues and splits for each as many jobs as it gets before the next is drawn.
    pub(super) async fn cut(&mut self, places: &mut Places, complete: bool, at_most: usize) -> Result<Cut, EngineError> {
        let fields = self.fields();
        let rows: Vec<Row> = self.files.iter().map(|f| self.row(f, &fields)).collect();
        let mut hands: Vec<split::Secondary> = self.sets.iter().map(|s| s.hand.clone()).collect();
        let mut cut = Cut { next: hands.iter().map(|h| h.next).collect(), ..Cut::default() };
        let usual = self.ops.settings().await?.int(&settings::JOBS_A_DRAW, &self.t.vo, &self.t.label);
        let usual =
            if self.scouts { scout::first(&*self.ops.settings().await?, self.t).1 } else { usize::try_from(usual).unwrap_or(1).max(1) };
        let mut at = 0;
        while at < rows.len() && cut.jobs.len() < at_most {
            let ram = rows[at].ram_mb;
            let merges = self.merged_together(at);
            let end = at + merges.unwrap_or_else(|| rows[at..].iter().take_while(|r| r.ram_mb == ram).count());
            let end = (at..end).find(|n| merges.is_none() && self.merged_together(*n).is_some()).unwrap_or(end);
            let complete = complete || end < rows.len();
            let Some(place) = places.draw(self, ram).await? else {
                // Rows of another memory may find a queue; these wait until they are all that is left.
                at = end;
                continue;
            };
            if merges.is_some() {
                cut.jobs.push(Job { place, rows: at..end, picks: vec![Vec::new(); hands.len()], shares: None, jumbo: false });
                at = end;
                continue;
            }
            let rules = self.refined.plan.rules(&self.places[place].site, self.scouts);
            let most = self.places[place].jobs_a_draw.unwrap_or(usual).min(at_most - cut.jobs.len());
            let found = split::split(&rows[at..end], &hands, &rules, complete, most);
            let n = found.chunks.len();
            for c in found.chunks {
                let rows = c.master.start + at..c.master.end + at;
                self.grow(place, rows.clone());
                cut.jobs.push(Job { place, rows, picks: c.secondary, shares: None, jumbo: false });
            }
            for (hand, next) in hands.iter_mut().zip(&found.next) {
                hand.next = *next;
            }
            cut.next = found.next;
            at += found.left;
            let short = n > 0 && at == end && complete && self.is_short(&rows, cut.jobs.last().map(|j| j.rows.clone()));
            if short {
                cut.short = cut.jobs.pop().map(|j| j.rows);
            }
            if let Some(stop) = found.stop.filter(|s| *s != Stop::Enough || cut.jobs.len() >= at_most) {
                cut.stop = Some(stop);
                // Rows of another memory do not wait for these.
                if end == rows.len() || stop != Stop::Grows || n > 0 {
                    break;
                }
                at = end;
            }
        }
        if cut.stop.is_none() && (at < rows.len() || places.held().is_some()) {
            cut.stop = Some(Stop::Enough);
        }
        Ok(cut)
    }
    /// How many rows from this one on are merged by one job, whatever limits say; none when it is not to be merged.
    fn merged_together(&self, at: usize) -> Option<usize> {
        let first = self.stands.get(&self.files.get(at)?.id).filter(|s| s.0 == Phase::Merge)?;
        Some(self.files[at..].iter().take_while(|f| self.stands.get(&f.id) == Some(first)).count())
    }
    /// The jobs of a place get the time of the longest and the disk of the largest of them.
    fn grow(&mut self, place: usize, rows: Range<usize>) {
        let sum = |of: fn(&TaskFile) -> Option<i64>| self.files[rows.clone()].iter().filter_map(of).fold(0, i64::saturating_add);
        let (events, bytes) = (sum(|f| f.n_events), sum(|f| f.fsize));
        // The parts of a file that is cut are one file on the disk; they stand side by side.
        let whole = self.files[rows].chunk_by(|a, b| a.lfn == b.lfn).filter_map(|parts| parts.first()?.fsize);
        let whole = whole.fold(0, i64::saturating_add);
        let place = &mut self.places[place];
        place.walltime_s = place.walltime_s.max(scout::walltime(&place.refined.plan, &place.site, events, bytes));
        place.disk_mb = place.disk_mb.max(scout::disk(&place.refined.plan, &place.site, events, whole));
    }
    /// Whether a last job has fewer files or events than each job is to have, and the task wants none of those.
    fn is_short(&self, rows: &[Row], job: Option<Range<usize>>) -> bool {
        let l = &self.refined.plan.limits;
        let Some(job) = job.filter(|_| self.refined.plan.split.skip_short_output) else { return false };
        let events: i64 = rows[job.clone()].iter().map(|r| r.events).sum();
        l.files.is_some_and(|n| job.len() < n) || (l.files.is_none() && l.events.is_some_and(|n| events < n))
    }
}
