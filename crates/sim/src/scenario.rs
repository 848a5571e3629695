//! What is simulated: queues, shares, work and faults, as a TOML document. Every key has a default.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::SimError;

/// Most slots of a scenario, a bound on memory: about 400 bytes each.
const MAX_SLOTS: i64 = 5_000_000;
/// Longest simulated time, hours: ten years.
const MAX_HOURS: f64 = 87_600.0;

/// A scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Where all chance comes from.
    pub seed: u64,
    /// Simulated time, hours.
    pub hours: f64,
    /// With this, work goes on after `hours` until every task is at its end, at most so many hours more; nothing new is submitted and nothing breaks
    /// then. 0 = stop at once.
    pub drain_hours: f64,
    /// Simulated seconds between two looks of the loops and pilots: nothing happens faster than this.
    pub tick_s: i64,
    /// Longest simulated seconds between two looks while nothing wakes a loop and no pilot does anything; loops are then up to so much late. 0 = as
    /// `tick_s`.
    pub idle_tick_s: i64,
    /// How often a running job is heard of, seconds; 0 = only at its start and end.
    pub heartbeat_s: i64,
    /// How often invariants are checked, in ticks; 0 = only at the end. They read whole tables.
    pub check_every: u64,
    /// Hour from which on the running slots of shares are measured.
    pub measure_from_hour: f64,
    /// Queues.
    #[serde(rename = "queue")]
    pub queues: Vec<Queues>,
    /// Shares of what runs.
    #[serde(rename = "share")]
    pub shares: Vec<Share>,
    /// Streams of tasks.
    #[serde(rename = "work")]
    pub work: Vec<Work>,
    /// Recorded tasks: what a stream says, with the time of each.
    #[serde(rename = "task")]
    pub tasks: Vec<Recorded>,
    /// What goes wrong.
    pub faults: Faults,
    /// Settings of the system by name, for all VOs and labels.
    #[serde(rename = "setting")]
    pub settings: BTreeMap<String, toml::Value>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            hours: 24.0,
            drain_hours: 0.0,
            tick_s: 10,
            idle_tick_s: 0,
            heartbeat_s: 1_800,
            check_every: 0,
            measure_from_hour: 0.0,
            queues: Vec::new(),
            shares: Vec::new(),
            work: Vec::new(),
            tasks: Vec::new(),
            faults: Faults::default(),
            settings: BTreeMap::new(),
        }
    }
}

/// Queues that are alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queues {
    /// Name; with more than one they are numbered.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Slots of each.
    pub slots: u32,
    /// Cores of a slot.
    pub cores: i64,
    /// Memory of a slot, MB; 0 = no limit.
    pub ram_mb: i64,
    /// Slots that are taken into use each simulated minute from the start on; 0 = all at once.
    pub ramp: u32,
    /// How fast its cores are; 2 = twice as fast.
    pub speed: f64,
    /// Seconds until a payload starts (stage-in).
    pub stage_s: f64,
    /// Percent of jobs that fail because of the site.
    pub fail_percent: f64,
    /// Percent of jobs whose pilot falls silent.
    pub silent_percent: f64,
    /// Percent of jobs that are said to have stored what is not there.
    pub missing_percent: f64,
    /// Seconds between two questions of an idle slot, when nothing wakes it.
    pub poll_s: i64,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            name: "SITE".into(),
            count: 1,
            slots: 100,
            cores: 1,
            ram_mb: 0,
            ramp: 0,
            speed: 1.0,
            stage_s: 30.0,
            fail_percent: 0.0,
            silent_percent: 0.0,
            missing_percent: 0.0,
            poll_s: 60,
        }
    }
}

/// A share of what runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Name.
    pub name: String,
    /// The share that it is a part of.
    pub parent: Option<String>,
    /// Percent among its siblings.
    pub value: f64,
}

/// What one task is like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kind {
    /// Who submits.
    pub user: String,
    /// VO.
    pub vo: String,
    /// `prodSourceLabel`: `user` or `managed`.
    pub label: String,
    /// Share, by name; none = the shares' rules choose.
    pub share: Option<String>,
    /// Jobs of a task, without failed attempts.
    pub jobs: u32,
    /// Median of a job's time on a core of speed 1, minutes.
    pub minutes: f64,
    /// Spread of that time: sigma of its logarithm.
    pub spread: f64,
    /// Percent of jobs that fail because of the payload.
    pub fail_percent: f64,
    /// Cores of a job.
    pub cores: i64,
    /// Memory that a job really takes, MB.
    pub ram_mb: i64,
    /// Priority; only `managed`.
    pub priority: i64,
    /// Input files of a job from a data set; 0 = no input.
    pub files: u32,
    /// Outputs of a job beside its log.
    pub outputs: u32,
    /// Whether outputs are merged.
    pub merge: bool,
    /// How often an input is tried.
    pub attempts: i64,
    /// Whether a task makes scouts first.
    pub scouts: bool,
    /// Whether its jobs are the nodes of a random DAG.
    pub dag: bool,
    /// Events of a range, when jobs take the events of their files in ranges; 0 = they do not.
    pub range_events: i64,
    /// Events of an input file of such a task.
    pub file_events: i64,
    /// Jobs that share their files, of a task with ranges or clones.
    pub sharing: i64,
    /// `runonce` or `storeonce`: of jobs with the same files one counts.
    pub clones: String,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            user: "alice".into(),
            vo: "sim".into(),
            label: "user".into(),
            share: None,
            jobs: 100,
            minutes: 60.0,
            spread: 0.5,
            fail_percent: 0.0,
            cores: 1,
            ram_mb: 1_000,
            priority: 900,
            files: 0,
            outputs: 1,
            merge: false,
            attempts: 3,
            scouts: true,
            dag: false,
            range_events: 0,
            file_events: 100,
            sharing: 1,
            clones: String::new(),
        }
    }
}

/// A stream of tasks.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Work {
    /// Hour of the first task.
    pub from_hour: f64,
    /// Hour after which none comes; none = the end.
    pub until_hour: Option<f64>,
    /// Mean seconds between two tasks; the gaps are exponential.
    pub every_s: f64,
    /// Tasks at the start, at once.
    pub at_once: u32,
    /// The tasks.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Default for Work {
    fn default() -> Self {
        Self { from_hour: 0.0, until_hour: None, every_s: 3_600.0, at_once: 1, kind: Kind::default() }
    }
}

/// A recorded task.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Recorded {
    /// When it came, seconds after the start.
    pub at_s: f64,
    /// The task.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What goes wrong beside queues and payloads, and what users do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Percent of answers with jobs that never reach the pilot.
    pub lost_answer_percent: f64,
    /// Percent of reports that are sent twice.
    pub repeated_percent: f64,
    /// New starts of the server an hour: what it remembers is gone.
    pub restarts_an_hour: f64,
    /// Tasks killed an hour.
    pub kills_an_hour: f64,
    /// Tasks ended early by their users an hour (`finish`).
    pub finishes_an_hour: f64,
    /// Tasks paused an hour; they are resumed after ten minutes.
    pub pauses_an_hour: f64,
    /// Ended tasks retried an hour.
    pub retries_an_hour: f64,
    /// Single jobs killed an hour.
    pub job_kills_an_hour: f64,
}

impl Scenario {
    /// Reads a document.
    ///
    /// # Errors
    /// No TOML, an unknown key, or values that make no sense; the text says which.
    pub fn parse(text: &str) -> Result<Self, SimError> {
        let scenario: Self = toml::from_str(text).map_err(|e| SimError::Scenario(e.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }
    /// Adds recorded tasks: JSON Lines with `at_s` and the keys of a task.
    ///
    /// # Errors
    /// A line that is none; the text names it.
    pub fn record(&mut self, text: &str) -> Result<(), SimError> {
        for (n, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let task = serde_json::from_str(line).map_err(|e| SimError::Scenario(format!("line {}: {e}", n + 1)))?;
            self.tasks.push(task);
        }
        self.check()
    }
    /// The scenario of an experiment's whole system that comes with the program: 200 queues, 600,000 slots, two million jobs a day.
    #[must_use]
    pub fn day() -> &'static str {
        include_str!("../scenarios/day.toml")
    }
    /// The small world in which everything goes wrong.
    #[must_use]
    pub fn small() -> &'static str {
        include_str!("../scenarios/small.toml")
    }
    /// Whether the values make sense.
    pub(crate) fn check(&self) -> Result<(), SimError> {
        let wrong = |what: String| Err(SimError::Scenario(what));
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let percent = |value: f64| (0.0..=100.0).contains(&value);
        if !positive(self.hours) || self.hours > MAX_HOURS {
            return wrong(format!("hours = {}: give more than 0 and at most {MAX_HOURS}", self.hours));
        }
        if !(0.0..=MAX_HOURS).contains(&self.drain_hours) {
            return wrong(format!("drain_hours = {}: give 0 to {MAX_HOURS}", self.drain_hours));
        }
        if !(1..=3_600).contains(&self.tick_s) || self.heartbeat_s < 0 {
            return wrong(format!("tick_s = {}, heartbeat_s = {}: give 1 to 3600 and 0 or more", self.tick_s, self.heartbeat_s));
        }
        if !(0..=3_600).contains(&self.idle_tick_s) {
            return wrong(format!("idle_tick_s = {}: give 0 to 3600", self.idle_tick_s));
        }
        if self.queues.is_empty() {
            return wrong("there is no [[queue]]: jobs have nowhere to run".into());
        }
        let slots: i64 = self.queues.iter().map(|q| i64::from(q.slots) * i64::from(q.count)).sum();
        if !(1..=MAX_SLOTS).contains(&slots) {
            return wrong(format!("{slots} slots altogether: give 1 to {MAX_SLOTS}"));
        }
        for q in &self.queues {
            if !positive(q.speed) || q.stage_s < 0.0 || q.cores < 1 || q.poll_s < 1 {
                return wrong(format!("queue {}: speed above 0, stage_s 0 or more, cores and poll_s 1 or more are needed", q.name));
            }
            if ![q.fail_percent, q.silent_percent, q.missing_percent].into_iter().all(percent) {
                return wrong(format!("queue {}: a percentage is from 0 to 100", q.name));
            }
        }
        let kinds = self.work.iter().map(|w| &w.kind).chain(self.tasks.iter().map(|t| &t.kind));
        for k in kinds {
            if k.jobs == 0 || !positive(k.minutes) || !(0.0..=3.0).contains(&k.spread) || !percent(k.fail_percent) || k.cores < 1 {
                return wrong(format!(
                    "work of {}: jobs, minutes and cores above 0, spread 0 to 3 and fail_percent 0 to 100 are needed",
                    k.user
                ));
            }
        }
        let kinds = self.work.iter().map(|w| &w.kind).chain(self.tasks.iter().map(|t| &t.kind));
        for k in kinds.filter(|k| k.range_events != 0 || !k.clones.is_empty()) {
            if k.range_events < 0
                || k.file_events < 1
                || k.files == 0
                || k.merge
                || k.sharing < 1
                || (k.range_events > 0 && !k.clones.is_empty())
            {
                return wrong(format!(
                    "work of {}: ranges or clones, not both, need files and file_events above 0, sharing 1 or more, and no merge",
                    k.user
                ));
            }
        }
        if let Some(w) = self.work.iter().find(|w| !positive(w.every_s) || w.from_hour < 0.0) {
            return wrong(format!("work of {}: every_s above 0 and from_hour 0 or more are needed", w.kind.user));
        }
        let f = &self.faults;
        if ![f.lost_answer_percent, f.repeated_percent].into_iter().all(percent) {
            return wrong("faults: a percentage is from 0 to 100".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_scenarios_make_sense() {
        let day = Scenario::parse(Scenario::day()).unwrap();
        let slots: u32 = day.queues.iter().map(|q| q.slots * q.count).sum();
        assert_eq!((day.queues.iter().map(|q| q.count).sum::<u32>(), slots), (200, 600_000));
        Scenario::parse(Scenario::small()).unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, part) in [
            ("hours = 0", "hours = 0"),
            ("", "no [[queue]]"),
            ("[[queue]]\nslots = 0", "0 slots"),
            ("[[queue]]\nspeed = -1.0", "speed above 0"),
            ("colour = 1", "colour"),
            ("[[queue]]\n[[work]]\njobs = 0", "work of alice"),
            ("[[queue]]\n[[work]]\nrange_events = 5", "ranges or clones"),
            ("[[queue]]\n[faults]\nrepeated_percent = 101", "percentage"),
        ] {
            let said = Scenario::parse(text).unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        }
        let mut scenario = Scenario::parse("[[queue]]").unwrap();
        scenario.record("{\"at_s\": 5, \"jobs\": 3}\n\n").unwrap();
        assert_eq!((scenario.tasks[0].at_s, scenario.tasks[0].kind.jobs), (5.0, 3));
        assert!(scenario.record("{\"at_s\": 5}\n{").unwrap_err().to_string().contains("line 2"));
    }
}
