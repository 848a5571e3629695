//! Wake-ups: who waits for work learns of it at once. A lost wake-up costs one period, never correctness.

use std::sync::Arc;

use panda_core::id::QueueId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// What a wake-up is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A task was submitted or a command arrived.
    Tasks,
    /// A data set of the catalogue that an input may wait for has changed.
    Inputs,
    /// Files became ready, so that jobs can be generated.
    Files,
    /// A node of a DAG ended.
    Nodes,
    /// A final report arrived.
    Reports,
    /// A job reached a final state.
    Ended,
    /// Jobs of this queue were activated.
    Ready(QueueId),
    /// An external effect is due.
    Effects,
    /// A queue that was held or drained is free again.
    Holds,
    /// A VO, a granted role, a ban or an API token was added, changed or taken out.
    Vos,
    /// An instance of Harvester told what it has at a queue.
    Workers,
}

impl Topic {
    /// Short text, as sent over a database's notification channel.
    #[must_use]
    pub fn encode(self) -> String {
        match self {
            Self::Tasks => "tasks".into(),
            Self::Inputs => "inputs".into(),
            Self::Files => "files".into(),
            Self::Nodes => "nodes".into(),
            Self::Reports => "reports".into(),
            Self::Ended => "ended".into(),
            Self::Ready(q) => format!("ready:{}", q.0),
            Self::Effects => "effects".into(),
            Self::Holds => "holds".into(),
            Self::Vos => "vos".into(),
            Self::Workers => "workers".into(),
        }
    }
    /// Reads [`Self::encode`]'s text; None for a text of a newer program.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        Some(match text {
            "tasks" => Self::Tasks,
            "inputs" => Self::Inputs,
            "files" => Self::Files,
            "nodes" => Self::Nodes,
            "reports" => Self::Reports,
            "ended" => Self::Ended,
            "effects" => Self::Effects,
            "holds" => Self::Holds,
            "vos" => Self::Vos,
            "workers" => Self::Workers,
            _ => Self::Ready(QueueId(text.strip_prefix("ready:")?.parse().ok()?)),
        })
    }
}

type Entry = (Topic, watch::Sender<u64>);

/// Hands wake-ups to the waiters of this process.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    topics: Arc<Mutex<Vec<Entry>>>,
}

impl Wake {
    /// A receiver that changes at each wake-up of `topic`.
    #[must_use]
    pub fn subscribe(&self, topic: Topic) -> watch::Receiver<u64> {
        let mut topics = self.topics.lock();
        if let Some((_, tx)) = topics.iter().find(|(t, _)| *t == topic) {
            return tx.subscribe();
        }
        let (tx, rx) = watch::channel(0);
        topics.push((topic, tx));
        rx
    }
    /// Wakes everybody, whatever he waits for.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), expect(dead_code, reason = "only backends with other processes need it"))]
    pub(crate) fn notify_all(&self) {
        for (_, tx) in self.topics.lock().iter() {
            tx.send_modify(|n| *n = n.wrapping_add(1));
        }
    }
    /// Wakes everybody who waits for `topic`.
    pub fn notify(&self, topic: Topic) {
        if let Some((_, tx)) = self.topics.lock().iter().find(|(t, _)| *t == topic) {
            tx.send_modify(|n| *n = n.wrapping_add(1));
        }
    }
}
