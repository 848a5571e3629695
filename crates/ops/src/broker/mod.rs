//! Brokerage with the queues, storages, loads and settings as they are: who asks says what a job needs, `core` decides.

pub mod locality;
pub mod needs;
pub mod nucleus;
pub mod record;

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use panda_core::{
    id::QueueId,
    policy::{
        broker::{self, Decision, Feasible, Limits, Locality, Needs, Offer, World},
        label,
        load::Load,
    },
    queue::Queue,
    setting::{Values, broker::TEST_LABELS},
    time::{Micros, SplitMix64},
};
use regex::Regex;

use crate::{Ops, OpsError, queue::Snapshot, statistics};

/// Most different needs that one submission remembers its decisions for.
const MAX_NEEDS: usize = 1_000;
/// Longest pattern of a queue's name that is tried as a regular expression.
const MAX_PATTERN: usize = 500;

/// All that brokerage works with at one moment.
#[derive(Debug)]
pub struct Broker {
    queues: Arc<Snapshot>,
    load: Arc<Load>,
    settings: Arc<Values>,
    now: Micros,
    known: Vec<(Needs, Decision)>,
    draws: u64,
}

/// What is asked of the broker.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What a job needs.
    pub needs: &'a Needs,
    /// Where the input is, if that matters.
    pub input: Option<&'a Locality>,
    /// Queues that the task uses already, by name.
    pub used: &'a BTreeSet<String>,
    /// Start of the random numbers: the same seed draws the same queues.
    pub seed: u64,
}

/// No queue.
static NONE_USED: LazyLock<BTreeSet<String>> = LazyLock::new(BTreeSet::new);

impl<'a> Ask<'a> {
    /// Asks for jobs whose input is everywhere and that use no queue yet.
    #[must_use]
    pub fn new(needs: &'a Needs) -> Self {
        Self { needs, input: None, used: &NONE_USED, seed: 0 }
    }
}

/// Where a job goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To this queue.
    Queue(QueueId),
    /// Nowhere now, though a queue would fit; the sentence says what holds it.
    Later(String),
    /// Nowhere ever; the sentence says what each queue lacks.
    Never(String),
}

impl Broker {
    /// Queues, storages, loads and settings as they are now.
    pub async fn new(ops: &Ops) -> Result<Self, OpsError> {
        Ok(Self {
            queues: ops.queues().await?,
            load: statistics::load(ops).await?,
            settings: ops.settings().await?,
            now: ops.now(),
            known: Vec::new(),
            draws: 0,
        })
    }
    /// The same as if nothing ran and nothing waited anywhere: what queues offer does not hang on it.
    async fn without_load(ops: &Ops, queues: Arc<Snapshot>) -> Result<Self, OpsError> {
        Ok(Self { queues, load: Arc::default(), settings: ops.settings().await?, now: ops.now(), known: Vec::new(), draws: 0 })
    }
    /// Why no queue can ever take jobs with these needs, if so.
    fn never(&self, needs: &Needs) -> Option<String> {
        let needs = self.complete(needs.clone());
        self.with(&Ask::new(&needs), |world| broker::never(&needs, world))
    }
    /// The queues and storage endpoints that it works with.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.queues
    }
    /// The load that it works with.
    #[must_use]
    pub fn load(&self) -> &Load {
        &self.load
    }
    /// The settings that it works with.
    #[must_use]
    pub fn settings(&self) -> &Values {
        &self.settings
    }
    /// Fills in what follows from VO and label: their class, and whether they are a test; names that are regular expressions become names.
    #[must_use]
    pub fn complete(&self, mut needs: Needs) -> Needs {
        needs.class = label::class(&self.settings, &needs.vo, &needs.label).to_owned();
        needs.is_test |= self.settings.text(&TEST_LABELS, "*", "*").split(',').any(|l| l.trim() == needs.label);
        needs.only = self.names(needs.only);
        needs.never = self.names(needs.never);
        needs
    }
    /// Names of queues: exact ones and those with `*` stay; of what else is no name but a regular expression, the names that it fits.
    fn names(&self, list: Vec<String>) -> Vec<String> {
        let mut out = Vec::with_capacity(list.len());
        for text in list {
            let is_name = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.*/".contains(&b));
            let fits = (!is_name && text.len() <= MAX_PATTERN).then(|| Regex::new(&format!("^(?:{text})$")).ok()).flatten();
            let hits: Vec<String> = match &fits {
                Some(r) => self.queues.facts.iter().filter(|q| r.is_match(&q.name)).map(|q| q.name.clone()).collect(),
                None => Vec::new(),
            };
            // A pattern without a hit stays, so that it is seen what was asked for and no queue fits.
            if hits.is_empty() { out.push(text) } else { out.extend(hits) }
        }
        out
    }
    fn with<R>(&self, ask: &Ask<'_>, act: impl FnOnce(&World<'_>) -> R) -> R {
        let offer = |queue: &'_ Arc<Queue>| (queue.clone(), self.load.queue(queue.id));
        let held: Vec<_> = self.queues.facts.iter().map(offer).collect();
        let offers: Vec<Offer<'_>> = held.iter().map(|(queue, at)| Offer { queue, at }).collect();
        let limits = Limits::read(&self.settings, &ask.needs.vo, &ask.needs.label);
        act(&World {
            offers: &offers,
            storages: &self.queues.storages,
            input: ask.input,
            all: *self.load.all(),
            limits: &limits,
            used: ask.used,
            now: self.now,
        })
    }
    /// The decision over all queues.
    #[must_use]
    pub fn decide(&self, ask: &Ask<'_>) -> Decision {
        self.with(ask, |world| broker::decide(ask.needs, world, &mut SplitMix64::new(ask.seed)))
    }
    /// Whether such jobs can run now, later or never.
    #[must_use]
    pub fn feasible(&self, ask: &Ask<'_>) -> Feasible {
        self.with(ask, |world| broker::feasible(ask.needs, world))
    }
    /// Whether an online queue could take such jobs and has a way to their nucleus.
    #[must_use]
    pub fn reaches(&self, needs: &Needs) -> bool {
        self.with(&Ask::new(needs), |world| broker::reaches(needs, world))
    }
    /// Chooses a queue for a job of many: those of the same needs are spread over the queues kept for them, by weight.
    pub fn place(&mut self, needs: &Needs) -> Place {
        self.draws += 1;
        let mut random = SplitMix64::new(self.draws);
        let at = match self.known.iter().position(|(n, _)| n == needs) {
            Some(at) => at,
            None => {
                let decision = self.decide(&Ask::new(needs));
                if decision.passed == 0 {
                    return match self.feasible(&Ask::new(needs)) {
                        Feasible::Never(why) => Place::Never(why),
                        Feasible::Later(why) => Place::Later(why),
                        Feasible::Now => Place::Later(decision.sentence()),
                    };
                }
                if self.known.len() >= MAX_NEEDS {
                    self.known.clear();
                }
                self.known.push((needs.clone(), decision));
                self.known.len() - 1
            }
        };
        let drawn = self.known[at].1.draw(&mut random).and_then(|name| self.queues.by_name.get(name));
        drawn.map_or_else(|| Place::Later("the queue chosen for it has vanished".into()), |q| Place::Queue(q.id))
    }
    /// The last decision that [`Self::place`] took for these needs, for a record of it.
    #[must_use]
    pub fn decision(&self, needs: &Needs) -> Option<&Decision> {
        self.known.iter().find(|(n, _)| n == needs).map(|(_, d)| d)
    }
}

/// Why no queue can ever take jobs with these needs; none = one could, now or later. What submission asks before it takes work: where one could,
/// only queues and settings are looked at, which are in memory. Before it says no it looks at the queues as they are in the database.
pub async fn refusal(ops: &Ops, needs: &Needs) -> Result<Option<String>, OpsError> {
    if Broker::without_load(ops, ops.queues().await?).await?.never(needs).is_none() {
        return Ok(None);
    }
    ops.queues_changed().await?;
    Ok(Broker::new(ops).await?.never(needs))
}
