//! The brokerage plug-in of a VO and label: asked about the queues that the neutral broker keeps, beside the loop.

use std::hash::{DefaultHasher, Hash, Hasher};

use panda_core::{
    policy::broker::{Decision, Needs, Preference},
    setting::plugin::BROKERAGE,
    time::SplitMix64,
};
use panda_ops::{
    Ops,
    broker::needs,
    plugin::{Asked, Desk, named, ring},
    task::plan::Plan,
};
use panda_plugin::{BrokerageAsk, Candidate, Error, Kind, Preferences};
use panda_store::{Topic, query::task::TaskRow};

use crate::EngineError;

/// Questions under way of one process.
type Choices = Desk<Result<Preferences, Error>>;

/// How long an answer is used for the same task and the same queues, microseconds: a task that makes many jobs does not ask for each batch of them.
const KEPT_US: i64 = 10_000_000;

/// Lets the plug-in of VO and label, if there is one, rule out and weigh the queues of a decision. Why it has not, if so, and whether it is only slow.
pub(super) async fn prefer(
    ops: &Ops,
    t: &TaskRow,
    plan: &Plan,
    needs: &Needs,
    decision: &mut Decision,
    random: &mut SplitMix64,
) -> Result<Option<(String, bool)>, EngineError> {
    let values = ops.settings().await?;
    let plugin = values.text(&BROKERAGE, &t.vo, &t.label);
    if plugin.is_empty() || decision.chosen().is_none() {
        return Ok(None);
    }
    let broker = match ops.plugins.brokerage(plugin) {
        Ok(broker) => broker,
        Err(e) => return Ok(Some((e.to_string(), false))),
    };
    let ask = ask_of(t, plan, needs, decision);
    let key = key(plugin, &ask);
    let call = async move { broker.choose(&ask).await };
    let ring = ring(ops.store.clone(), Topic::Files);
    Ok(match ops.live.of::<Choices>().ask(&key, ops.now().0, KEPT_US, call, ring).await {
        Asked::UnderWay => Some((format!("brokerage plug-in `{plugin}` is asked for a queue"), true)),
        Asked::Answer(Err(e)) => Some((named(Kind::Brokerage, plugin, e.to_string()), false)),
        Asked::Answer(Ok(said)) => {
            let queues: Vec<(String, Option<f64>)> = said.queues.into_iter().map(|q| (q.queue, q.weight)).collect();
            let who = format!("brokerage plug-in `{plugin}`");
            let wrong = decision.prefer(&Preference { queues: &queues, reason: &said.reason, who: &who }, random).err();
            wrong.map(|what| (format!("{who} answers nonsense: {what}"), false))
        }
    })
}

fn ask_of(t: &TaskRow, plan: &Plan, n: &Needs, decision: &Decision) -> BrokerageAsk {
    let candidate = |k: &panda_core::policy::broker::Kept| Candidate { queue: k.queue.clone(), weight: k.weight, used: k.used };
    BrokerageAsk {
        vo: t.vo.clone(),
        label: t.label.clone(),
        task_id: t.id.0,
        processing_type: n.processing_type.clone(),
        working_group: n.working_group.clone(),
        priority: t.priority,
        cores: n.cores,
        ram_mb: n.ram.of(n.cores),
        walltime_s: n.walltime_s,
        input_mb: n.input_mb,
        inputs: needs::inputs(plan),
        candidates: decision.kept.iter().map(candidate).collect(),
    }
}

/// The same question: the same task, needs and queues; weights change all the time.
fn key(plugin: &str, ask: &BrokerageAsk) -> String {
    let mut hasher = DefaultHasher::new();
    (ask.cores, ask.ram_mb, ask.walltime_s, ask.input_mb, ask.priority).hash(&mut hasher);
    let mut queues: Vec<&str> = ask.candidates.iter().map(|c| c.queue.as_str()).collect();
    queues.sort_unstable();
    queues.hash(&mut hasher);
    format!("{plugin}/{}/{:016x}", ask.task_id, hasher.finish())
}
