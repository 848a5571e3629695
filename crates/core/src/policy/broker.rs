//! Brokerage: which queue gets a job (`spec/engine.md` section 8.1, the neutral broker): filters in order, each with its count, then a weight.

use crate::queue::PilotFamily;

/// A queue as the broker sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Name.
    pub name: String,
    /// Whether new jobs may be brokered to it (online; a `test` queue only when it is named).
    pub online: bool,
    /// Which pilots serve it.
    pub family: PilotFamily,
    /// Whether a container can be started there.
    pub has_container: bool,
    /// Cores of a slot; 0 = any.
    pub cores: i64,
    /// Largest memory of a job, MB; 0 = any.
    pub max_ram_mb: i64,
    /// Largest scratch space, MB; 0 = any.
    pub max_disk_mb: i64,
    /// Longest job, seconds; 0 = any.
    pub max_walltime_s: i64,
    /// Jobs that run.
    pub running: i64,
    /// Jobs that wait for a pilot.
    pub queued: i64,
}

/// What a job needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// Queues asked for; empty = any.
    pub only: Vec<String>,
    /// Queues ruled out.
    pub never: Vec<String>,
    /// Cores.
    pub cores: i64,
    /// MB.
    pub ram_mb: i64,
    /// MB.
    pub disk_mb: i64,
    /// Seconds; 0 = unknown.
    pub walltime_s: i64,
    /// Whether it runs in a container.
    pub container: bool,
    /// Why an official generic pilot cannot do it, if so.
    pub native: Option<&'static str>,
}

/// What one filter took out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The filter.
    pub criterion: &'static str,
    /// What it means here.
    pub why: String,
    /// How many queues it took out.
    pub count: usize,
    /// Their names, at most [`MAX_NAMES`].
    pub queues: Vec<String>,
}

/// Names kept of each filter.
pub const MAX_NAMES: usize = 20;

/// The decision: the funnel, and the best queue if any is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Queues looked at.
    pub considered: usize,
    /// What each filter took out, in order; filters that took out nothing are left out.
    pub funnel: Vec<Removed>,
    /// What is left, best first.
    pub left: Vec<String>,
}

impl Decision {
    /// The chosen queue.
    #[must_use]
    pub fn chosen(&self) -> Option<&str> {
        self.left.first().map(String::as_str)
    }
    /// One sentence: why no queue is left.
    #[must_use]
    pub fn sentence(&self) -> String {
        if self.considered == 0 {
            return "there is no queue; add one with `panda queue add NAME`".into();
        }
        let parts: Vec<String> = self.funnel.iter().map(|r| format!("{} {} ({})", r.count, r.why, r.queues.join(", "))).collect();
        format!("no queue of {} can take it: {}", self.considered, parts.join("; "))
    }
}

/// Chooses among candidates, which come in a fixed order (by name), so that the same input gives the same answer.
#[must_use]
pub fn decide(candidates: &[Candidate], need: &Need) -> Decision {
    let mut left: Vec<&Candidate> = candidates.iter().collect();
    let mut funnel = Vec::new();
    let mut filter = |criterion: &'static str, why: String, keep: &dyn Fn(&Candidate) -> bool| {
        let (kept, out): (Vec<&Candidate>, Vec<&Candidate>) = left.iter().partition(|c| keep(c));
        if !out.is_empty() {
            let queues = out.iter().take(MAX_NAMES).map(|c| c.name.clone()).collect();
            funnel.push(Removed { criterion, why, count: out.len(), queues });
        }
        left = kept;
    };
    filter("site", "not asked for".into(), &|c| need.only.is_empty() || need.only.contains(&c.name));
    filter("excluded", "ruled out by the task".into(), &|c| !need.never.contains(&c.name));
    filter("status", "not online".into(), &|c| c.online);
    filter("disk", format!("with less than {} MB of scratch space", need.disk_mb), &|c| c.max_disk_mb == 0 || need.disk_mb <= c.max_disk_mb);
    filter("walltime", format!("with less than {} s of wall time", need.walltime_s), &|c| c.max_walltime_s == 0 || need.walltime_s <= c.max_walltime_s);
    filter("cores", format!("with fewer than {} cores", need.cores), &|c| c.cores == 0 || need.cores <= c.cores);
    filter("memory", format!("with less than {} MB of memory", need.ram_mb), &|c| c.max_ram_mb == 0 || need.ram_mb <= c.max_ram_mb);
    filter("container", "without containers".into(), &|c| !need.container || c.has_container);
    let native = need.native.unwrap_or_default();
    filter("pilot", format!("with official generic pilots: {native}"), &|c| need.native.is_none() || c.family != PilotFamily::OfficialGeneric);
    // weight = (running + 1) / (queued + 1), section 8.1; compared without division, ties by name.
    left.sort_by(|a, b| {
        let x = i128::from(a.running + 1) * i128::from(b.queued + 1);
        let y = i128::from(b.running + 1) * i128::from(a.queued + 1);
        y.cmp(&x).then_with(|| a.name.cmp(&b.name))
    });
    Decision { considered: candidates.len(), funnel, left: left.into_iter().map(|c| c.name.clone()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> Candidate {
        Candidate {
            name: name.into(),
            online: true,
            family: PilotFamily::Native,
            has_container: false,
            cores: 1,
            max_ram_mb: 4_000,
            max_disk_mb: 0,
            max_walltime_s: 0,
            running: 0,
            queued: 0,
        }
    }

    #[test]
    fn the_funnel_counts_and_says_why() {
        let queues = [queue("A"), Candidate { online: false, ..queue("B") }, Candidate { max_ram_mb: 1_000, ..queue("C") }];
        let decision = decide(&queues, &Need { ram_mb: 8_000, ..Need::default() });
        assert_eq!(decision.chosen(), None);
        assert_eq!(decision.sentence(), "no queue of 3 can take it: 1 not online (B); 2 with less than 8000 MB of memory (A, C)");
        assert_eq!(decide(&[], &Need::default()).sentence(), "there is no queue; add one with `panda queue add NAME`");
    }

    #[test]
    fn the_least_loaded_queue_is_chosen() {
        let queues = [Candidate { queued: 5, ..queue("A") }, Candidate { queued: 5, running: 4, ..queue("B") }, Candidate { queued: 9, ..queue("C") }];
        assert_eq!(decide(&queues, &Need::default()).left, ["B", "A", "C"]);
    }

    #[test]
    fn official_pilots_get_only_what_they_can_do() {
        let queues = [Candidate { family: PilotFamily::OfficialGeneric, ..queue("A") }];
        let need = Need { native: Some("an output is a pattern"), ..Need::default() };
        assert!(decide(&queues, &need).sentence().contains("official generic pilots: an output is a pattern"));
    }
}
