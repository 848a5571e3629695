//! Brokerage: which queue gets a job (`spec/engine.md` section 8.1, the neutral broker): filters in order, each with its count, then a weight.

use crate::id::QueueId;
use crate::queue::{Criterion, Needs, PilotFamily, Queue, QueueState};

/// A queue with what is on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer<'a> {
    /// The queue.
    pub queue: &'a Queue,
    /// Jobs that run.
    pub running: i64,
    /// Jobs that a pilot may take.
    pub activated: i64,
    /// Jobs before that.
    pub defined: i64,
}

impl Offer<'_> {
    /// Numerator and denominator of `(running + 1) / (activated + defined + 1) / (defined + 1)`.
    fn weight(&self) -> (i128, i128) {
        let wide = |n: i64| i128::from(n.max(0));
        (wide(self.running) + 1, (wide(self.activated) + wide(self.defined) + 1) * (wide(self.defined) + 1))
    }
}

/// Chooses among all queues: every filter of [`Criterion`] in order, then the weight. Offers come in a fixed order (by name), so that
/// the same input gives the same answer; ties go by name.
#[must_use]
pub fn choose(offers: &[Offer<'_>], needs: &Needs) -> Decision {
    let mut left: Vec<&Offer<'_>> = offers.iter().collect();
    let mut funnel = Vec::new();
    for criterion in Criterion::ALL {
        let (kept, out): (Vec<&Offer<'_>>, Vec<&Offer<'_>>) = left.iter().partition(|offer| criterion.passes(offer.queue, needs));
        if !out.is_empty() {
            let queues = out.iter().take(MAX_NAMES).map(|offer| offer.queue.name.clone()).collect();
            funnel.push(Removed { criterion: criterion.as_str(), why: criterion.means(needs), count: out.len(), queues });
        }
        left = kept;
    }
    left.sort_by(|a, b| {
        let ((an, ad), (bn, bd)) = (a.weight(), b.weight());
        // Counts of jobs are far below 2^40, so the products fit; beyond that the order is still total.
        bn.saturating_mul(ad).cmp(&an.saturating_mul(bd)).then_with(|| a.queue.name.cmp(&b.queue.name))
    });
    Decision { considered: offers.len(), funnel, left: left.into_iter().map(|offer| offer.queue.name.clone()).collect() }
}

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

/// [`choose`] for a caller that knows less of its queues.
#[must_use]
pub fn decide(candidates: &[Candidate], need: &Need) -> Decision {
    let queues: Vec<Queue> = candidates.iter().map(as_queue).collect();
    let offers: Vec<Offer<'_>> =
        candidates.iter().zip(&queues).map(|(c, queue)| Offer { queue, running: c.running, activated: c.queued, defined: 0 }).collect();
    let needs = Needs {
        only: need.only.clone(),
        never: need.never.clone(),
        cores: need.cores,
        ram_mb: need.ram_mb,
        disk_mb: need.disk_mb,
        walltime_s: need.walltime_s,
        container: need.container,
        native: need.native,
        ..Needs::default()
    };
    choose(&offers, &needs)
}

fn as_queue(c: &Candidate) -> Queue {
    Queue {
        state: if c.online { QueueState::Online } else { QueueState::Offline },
        family: c.family,
        has_container: c.has_container,
        core_count: c.cores,
        max_rss_mb: c.max_ram_mb,
        max_workdir_mb: c.max_disk_mb,
        max_time_s: c.max_walltime_s,
        ..Queue::new(QueueId(0), c.name.clone())
    }
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
        assert_eq!(decision.sentence(), "no queue of 3 can take it: 1 not online (B); 2 not for jobs of 8000 MB of memory (A, C)");
        assert_eq!(decide(&[], &Need::default()).sentence(), "there is no queue; add one with `panda queue add NAME`");
    }

    #[test]
    fn the_least_loaded_queue_is_chosen() {
        let queues = [
            Candidate { queued: 5, ..queue("A") },
            Candidate { queued: 5, running: 4, ..queue("B") },
            Candidate { queued: 9, ..queue("C") },
        ];
        assert_eq!(decide(&queues, &Need::default()).left, ["B", "A", "C"]);
    }

    #[test]
    fn official_pilots_get_only_what_they_can_do() {
        let queues = [Candidate { family: PilotFamily::OfficialGeneric, ..queue("A") }];
        let need = Need { native: Some("an output is a pattern"), ..Need::default() };
        assert!(decide(&queues, &need).sentence().contains("official generic pilots: an output is a pattern"));
    }

    #[test]
    fn jobs_that_are_not_yet_ready_weigh_twice() {
        let (a, b) = (Queue::new(QueueId(1), "A"), Queue::new(QueueId(2), "B"));
        let offers = [Offer { queue: &a, running: 3, activated: 0, defined: 2 }, Offer { queue: &b, running: 3, activated: 4, defined: 0 }];
        assert_eq!(choose(&offers, &Needs::default()).left, ["B", "A"], "4/9 and 4/5");
    }
}
