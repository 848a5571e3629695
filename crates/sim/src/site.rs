//! Pilots: slots that ask for jobs, start them, report and end, as the real ones do, but on the virtual clock.

use std::{borrow::Cow, path::Path};

use panda_access::{Principal, Role, Standing};
use panda_core::{id::JobId, job::report::Reported, policy::names};
use panda_ops::{
    OpsError,
    pilot::{
        acquire::{Ask, MAX_JOBS, acquire},
        update::Update,
    },
    storage,
};
use rand::RngExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::{
    SimError,
    fate::{self, End, Fate},
    scenario::Queues,
    shelf,
    world::{Happens, World},
};

/// A queue with its slots.
#[derive(Debug)]
pub(crate) struct Site {
    pub name: String,
    /// Which group of the scenario it is of.
    pub group: usize,
    /// Slots that have a job.
    pub busy: u32,
    /// When an idle slot asks without being woken.
    pub poll_us: i64,
    /// Jobs became ready here.
    pub ready: watch::Receiver<u64>,
    /// Slot time with a job, microseconds.
    pub used_us: i128,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Inputs are on their way.
    Staging,
    /// The payload runs.
    Running,
    /// The pilot was told to stop it.
    Stopped,
}

/// A job that a pilot has.
#[derive(Debug)]
pub(crate) struct Held {
    pub id: i64,
    pub attempt: i64,
    pub site: u32,
    /// Its kind of work.
    pub kind: usize,
    pub outs: Box<str>,
    /// Whether it takes events in ranges.
    pub ranges: bool,
    pub fate: Fate,
    pub phase: Phase,
    pub taken_us: i64,
    pub end_us: i64,
}

/// What the pilot reads of a job.
#[derive(Debug, Deserialize)]
struct Dictionary<'a> {
    #[serde(rename = "PandaID")]
    id: i64,
    /// A number, or the text `NULL` when it is of no task.
    #[serde(rename = "taskID")]
    task: Value,
    #[serde(rename = "attemptNr")]
    attempt: i64,
    #[serde(rename = "outFiles", borrow)]
    outs: Cow<'a, str>,
    #[serde(rename = "eventService", borrow)]
    ranges: Option<Cow<'a, str>>,
}

/// The identity of all pilots.
pub(crate) fn pilot() -> Principal {
    let standing = Standing { roles: [Role::Pilot].into(), ..Standing::default() };
    Principal { standing, ..crate::submit::person("pilot", "sim", false) }
}

impl Site {
    /// Slots that exist now.
    fn slots(group: &Queues, since_s: i64) -> u32 {
        if group.ramp == 0 {
            return group.slots;
        }
        let come = i64::from(group.ramp).saturating_mul(since_s / 60 + 1);
        u32::try_from(come).unwrap_or(u32::MAX).min(group.slots)
    }
    /// Slots without a job.
    pub fn free(&self, group: &Queues, since_s: i64) -> u32 {
        Self::slots(group, since_s).saturating_sub(self.busy)
    }
}

impl World {
    /// Lets idle slots ask, from a queue drawn by lot on.
    pub(crate) async fn ask(&mut self) -> Result<(), SimError> {
        let n = self.sites.len();
        let first = self.rng.random_range(0..n);
        for at in (0..n).map(|k| (first + k) % n) {
            self.ask_at(at).await?;
        }
        Ok(())
    }

    async fn ask_at(&mut self, at: usize) -> Result<(), SimError> {
        let now = self.now_us();
        let since_s = self.since_s();
        let scenario = self.scenario.clone();
        let site = &mut self.sites[at];
        let group = &scenario.queues[site.group];
        if site.free(group, since_s) == 0 || !(site.ready.has_changed().unwrap_or(false) || now >= site.poll_us) {
            return Ok(());
        }
        site.ready.mark_unchanged();
        site.poll_us = now + group.poll_s * 1_000_000;
        loop {
            let free = self.sites[at].free(group, since_s);
            if free == 0 {
                return Ok(());
            }
            let ask = Ask {
                queue: self.sites[at].name.clone(),
                label: Some("unified".into()),
                memory_mb: group.ram_mb,
                n: free.min(MAX_JOBS),
                ..Ask::default()
            };
            let jobs = acquire(&self.ops, &self.pilot, &ask).await?;
            if jobs.is_empty() {
                return Ok(());
            }
            let lost = !self.draining() && self.rng.random::<f64>() * 100.0 < scenario.faults.lost_answer_percent;
            self.counts.dispatched += jobs.len() as u64;
            if lost {
                self.counts.lost_answers += 1;
                continue;
            }
            for job in jobs {
                self.start(at, &job)?;
            }
        }
    }

    fn start(&mut self, at: usize, job: &str) -> Result<(), SimError> {
        let d: Dictionary<'_> =
            serde_json::from_str(job).map_err(|e| SimError::Ops(OpsError::Internal(format!("a job's document: {e}"))))?;
        let now = self.now_us();
        let task = match d.task.as_i64() {
            None => None,
            Some(id) => match self.by_id.get(&id) {
                Some(task) => Some(*task as usize),
                None => {
                    self.violation(format!("job {} belongs to task {id}, which nobody submitted", d.id));
                    return Ok(());
                }
            },
        };
        // Of no task: the canary job of a queue that is held.
        let kind = task.map_or(self.canary, |task| self.tasks[task].kind);
        self.counts.canaries += u64::from(task.is_none());
        let group = &self.scenario.queues[self.sites[at].group];
        let mut fate = fate::of(self.scenario.seed, d.id, &self.kinds[kind], group, self.scenario.faults.repeated_percent);
        if self.draining() {
            fate = Fate { end: End::Well, repeats: false, ..fate };
        }
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a stage-in")]
        let staged = now + (group.stage_s * 1e6) as i64;
        self.sites[at].busy += 1;
        if let Some(task) = task {
            self.tasks[task].first_us.get_or_insert(now);
        }
        self.trace(&[1, d.id, task.map_or(-1, |task| task as i64), at as i64]);
        let held = Held {
            id: d.id,
            attempt: d.attempt,
            site: u32::try_from(at).unwrap_or(u32::MAX),
            kind,
            outs: d.outs.into(),
            ranges: d.ranges.is_some(),
            fate,
            phase: Phase::Staging,
            taken_us: now,
            end_us: staged + fate.takes_us,
        };
        let key = self.hold(held);
        self.happen(staged, Happens::Job(key));
        Ok(())
    }

    /// What a pilot does about its job now; the answer is what it reports, if anything.
    pub(crate) fn act(&mut self, key: u32) -> Option<Update> {
        let now = self.now_us();
        let beat_us = self.scenario.heartbeat_s * 1_000_000;
        let held = self.jobs.get_mut(key as usize)?.as_mut()?;
        match held.phase {
            Phase::Staging => held.phase = Phase::Running,
            Phase::Running if now >= held.end_us => return self.end(key),
            Phase::Stopped => return self.end(key),
            Phase::Running => {}
        }
        let silent = held.fate.end == End::Silent;
        let next = if beat_us > 0 && !silent { (now + beat_us).min(held.end_us) } else { held.end_us };
        let update = blank(held, Reported::Running);
        self.happen(next, Happens::Job(key));
        Some(update)
    }

    /// The last that is heard of a job; its slot is free.
    fn end(&mut self, key: u32) -> Option<Update> {
        let now = self.now_us();
        let held = self.jobs.get_mut(key as usize)?.take()?;
        self.freed.push(key);
        let site = &mut self.sites[held.site as usize];
        site.busy -= 1;
        site.used_us += i128::from(now - held.taken_us);
        // A free slot asks at once.
        site.poll_us = now;
        self.counts.ended += 1;
        self.trace(&[2, held.id, held.fate.end as i64]);
        let stopped = held.phase == Phase::Stopped;
        if held.fate.end == End::Silent && !stopped {
            return None;
        }
        let well = !stopped && held.fate.end != End::Fails;
        let mut update = blank(&held, if well { Reported::Finished } else { Reported::Failed });
        let kind = &self.kinds[held.kind];
        let cpu_s = held.fate.work_s * kind.cores as f64;
        let mb = kind.ram_mb;
        let measured = json!({
            "cpu_consumption_time": cpu_s.round(), "cpu_consumption_unit": "s", "cpu_conversion_factor": 1.0, "core_count": kind.cores,
            "max_pss": mb * 1_000, "max_rss": mb * 1_100, "max_vmem": mb * 2_000, "avg_pss": mb * 900, "tot_rbytes": 1_000_000, "tot_wbytes": 1_000_000,
        });
        if let Value::Object(map) = measured {
            update.metrics = map;
        }
        if well {
            update.report = Some(self.store(&held));
        } else {
            let (code, diag) = if stopped { (1_235, "asked to stop") } else { (1_305, "the payload failed") };
            update.errors.insert("trans_exit_code".into(), json!(i64::from(!stopped)));
            update.errors.insert("pilot_error_code".into(), json!(code));
            update.errors.insert("pilot_error_diag".into(), json!(diag));
        }
        self.counts.repeated += u64::from(held.fate.repeats);
        Some(update)
    }

    /// Puts the outputs on the storage; the answer is the report about them.
    fn store(&mut self, held: &Held) -> String {
        let mut report = Map::new();
        for (n, lfn) in held.outs.split(',').filter(|l| !l.is_empty()).enumerate() {
            if n == 0 && held.fate.end == End::Missing {
                self.shelf.lose(lfn);
            } else {
                self.shelf.put(lfn);
                if self.scenario.drain_hours > 0.0 {
                    *self.stored.entry(lfn.to_owned()).or_default() += 1;
                }
            }
            report.insert(lfn.to_owned(), entry(&self.root, lfn));
        }
        Value::Object(report).to_string()
    }
}

fn entry(root: &Path, lfn: &str) -> Value {
    let (size, sum) = shelf::facts(lfn);
    let path = storage::path(root, &names::scope(lfn), lfn);
    json!({"guid": "", "fsize": size, "adler32": format!("{sum:08x}"), "surl": storage::surl(&path)})
}

fn blank(held: &Held, state: Reported) -> Update {
    Update {
        job_id: JobId(held.id),
        state,
        attempt: Some(held.attempt),
        node: Some("node".into()),
        batch_id: None,
        sub_state: None,
        report: None,
        meta: None,
        errors: Map::new(),
        metrics: Map::new(),
        vo: None,
    }
}
