//! Questions to plug-ins that a loop does not wait for: each is asked once, beside the loop, and the answer is there when the loop comes by again.
//!
//! Must not know what is asked. All of it may vanish: then it is asked again.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use panda_core::setting::{Setting, plugin as settings};
use panda_plugin::Kind;
use panda_store::{Batch, Store, Topic};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{Ops, OpsError};

/// How long a loop waits for an answer that it asks for first: most plug-ins have answered by then, and one that hangs costs the others no more.
const PATIENCE: Duration = Duration::from_millis(300);
/// Questions kept; answers that nobody came for are dropped when there are more.
const MAX_KEPT: usize = 10_000;

/// Questions under way and their answers.
#[derive(Debug)]
pub struct Desk<T>(Mutex<HashMap<String, Question<T>>>);

impl<T> Default for Desk<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Debug, Clone)]
struct Question<T> {
    answer: watch::Receiver<Option<T>>,
    /// When somebody got the answer first.
    seen_us: Option<i64>,
    /// Somebody waited for it and left.
    left: Arc<AtomicBool>,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked<T> {
    /// The answer.
    Answer(T),
    /// There is none yet.
    UnderWay,
}

impl<T: Clone + Send + Sync + 'static> Desk<T> {
    /// The answer to a question, when nobody has it or somebody got it at most `age_us` ago; otherwise it is asked anew with `ask`. `ring` is run behind an answer that
    /// somebody left without.
    pub async fn ask<A, R>(&self, key: &str, now_us: i64, age_us: i64, ask: A, ring: R) -> Asked<T>
    where
        A: Future<Output = T> + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let (question, is_new) = self.question(key, now_us, age_us, ask, ring);
        let Some(mut question) = question else { return Asked::UnderWay };
        if is_new {
            let _ = tokio::time::timeout(PATIENCE, question.answer.wait_for(Option::is_some)).await;
        }
        let mut answer = question.answer.borrow().clone();
        if answer.is_none() {
            question.left.store(true, SeqCst);
            // It may have come in between, and whoever brought it saw nobody leave.
            answer = question.answer.borrow().clone();
        }
        if answer.is_none() && question.answer.has_changed().is_err() {
            // It broke off without an answer.
            self.0.lock().remove(key);
        }
        let Some(answer) = answer else { return Asked::UnderWay };
        if let Some(q) = self.0.lock().get_mut(key) {
            q.seen_us.get_or_insert(now_us);
        }
        Asked::Answer(answer)
    }
    /// Whether a question was answered.
    pub fn has_answer(&self, key: &str) -> bool {
        self.0.lock().get(key).is_some_and(|q| q.answer.borrow().is_some())
    }
    /// The question of this key, asked now when it is new; none when too many are under way.
    fn question<A, R>(&self, key: &str, now_us: i64, age_us: i64, ask: A, ring: R) -> (Option<Question<T>>, bool)
    where
        A: Future<Output = T> + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let mut all = self.0.lock();
        if let Some(q) = all.get(key)
            && q.seen_us.is_none_or(|at| (0..=age_us).contains(&(now_us - at)))
        {
            return (Some(q.clone()), false);
        }
        if all.len() >= MAX_KEPT {
            all.retain(|_, q| q.answer.borrow().is_none());
            if all.len() >= MAX_KEPT {
                return (None, false);
            }
        }
        let (tell, answer) = watch::channel(None);
        let question = Question { answer, seen_us: None, left: Arc::default() };
        all.insert(key.to_owned(), question.clone());
        let left = question.left.clone();
        tokio::spawn(async move {
            tell.send_replace(Some(ask.await));
            if left.load(SeqCst) {
                ring.await;
            }
        });
        (Some(question), true)
    }
}

/// Wakes whoever asked and left, for [`Desk::ask`].
pub async fn ring(store: Store, topic: Topic) {
    let mut batch = Batch::new();
    batch.wake(topic);
    if let Err(error) = store.apply(batch).await {
        tracing::warn!(%error, ?topic, "whoever waits for a plug-in learns of its answer later");
    }
}

/// What a plug-in of this program says, with its name: one in a process of its own has said it itself.
#[must_use]
pub fn named(kind: Kind, plugin: &str, text: String) -> String {
    if text.contains(&format!("`{plugin}`")) { text } else { format!("{} plug-in `{plugin}`: {text}", kind.as_str()) }
}

/// Settings that choose a plug-in, and its kind.
const CHOICES: &[(Setting, Kind)] = &[
    (settings::DATA, Kind::Data),
    (settings::BROKERAGE, Kind::Brokerage),
    (settings::RETRY, Kind::Retry),
    (settings::NAMING, Kind::Naming),
    (settings::NOTIFY, Kind::Notify),
];

/// Plug-ins that settings name and that this program does not have, a sentence each.
pub async fn absent(ops: &Ops) -> Result<Vec<String>, OpsError> {
    let values = ops.settings().await?;
    let mut lines = Vec::new();
    for ((name, vo, label), value) in values.iter().filter(|(_, value)| !value.is_empty()) {
        let kind = CHOICES.iter().find(|(s, _)| s.name == name).map(|(_, kind)| *kind);
        if let Some(Err(e)) = kind.map(|kind| ops.plugins.has(kind, value)) {
            lines.push(format!("{e}, but setting {name} for VO {vo} and label {label} names it"));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn a_question_is_asked_once_and_its_answer_kept_for_a_while() {
        let desk = Desk::<usize>::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = |now: i64| {
            let asked = asked.clone();
            desk.ask("a", now, 10, async move { asked.fetch_add(1, SeqCst) }, async { panic!("nobody left") })
        };
        assert_eq!((ask(0).await, ask(10).await, ask(11).await), (Asked::Answer(0), Asked::Answer(0), Asked::Answer(1)));
    }

    #[tokio::test]
    async fn who_leaves_is_rung_for() {
        let desk = Desk::<usize>::default();
        let (go, rung) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let ask = || {
            let (go, rung) = (go.clone(), rung.clone());
            desk.ask(
                "a",
                0,
                10,
                async move {
                    go.notified().await;
                    7
                },
                async move { rung.notify_one() },
            )
        };
        assert_eq!((ask().await, ask().await), (Asked::UnderWay, Asked::UnderWay));
        go.notify_one();
        rung.notified().await;
        assert_eq!(ask().await, Asked::Answer(7));
    }

    #[tokio::test]
    async fn a_question_that_breaks_off_is_asked_again() {
        let desk = Desk::<usize>::default();
        assert_eq!(desk.ask("a", 0, 10, async { panic!("a plug-in in process broke") }, async {}).await, Asked::UnderWay);
        assert_eq!(desk.ask("a", 0, 10, async { 7 }, async {}).await, Asked::Answer(7));
    }
}
