//! Heartbeats of many callers in one statement, for backends behind a network: whoever comes while one is under way waits for the next. It
//! knows no backend: that is a [`Beats`].

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Beat, BeatAnswer};
use crate::error::Error;

/// Most heartbeats of one statement: bounds its time and the locks it holds.
const MAX_ROWS: usize = 256;

/// Command and debug flag of each job whose heartbeat was recorded.
pub(super) type Recorded = HashMap<i64, (Option<String>, bool)>;

/// A backend that can record heartbeats of distinct jobs.
pub(super) trait Beats: Send + Sync + 'static {
    /// Records those that agree with the job's row; answers command and debug flag by job.
    fn beats(&self, group: Vec<Beat>) -> BoxFuture<'_, Result<Recorded, Error>>;
}

struct Waiter {
    beat: Beat,
    reply: oneshot::Sender<Result<BeatAnswer, Error>>,
}

#[derive(Default)]
struct State {
    busy: bool,
    waiting: Vec<Waiter>,
}

/// The waiting heartbeats.
#[derive(Default)]
pub(super) struct Pending(Mutex<State>);

/// Records one heartbeat together with those of other callers.
pub(super) async fn beat<B: Beats>(backend: &Arc<B>, pending: &Arc<Pending>, beat: Beat) -> Result<BeatAnswer, Error> {
    let (reply, answer) = oneshot::channel();
    let lead = {
        let mut state = pending.0.lock();
        state.waiting.push(Waiter { beat, reply });
        !std::mem::replace(&mut state.busy, true)
    };
    if lead {
        tokio::spawn(serve(Arc::clone(backend), Arc::clone(pending)));
    }
    answer.await.unwrap_or(Err(Error::Closed))
}

async fn serve<B: Beats>(backend: Arc<B>, pending: Arc<Pending>) {
    loop {
        let group = {
            let mut state = pending.0.lock();
            // A job twice in one statement would be two values for one row: the later one waits.
            let mut jobs = HashSet::new();
            let (group, rest): (Vec<Waiter>, Vec<Waiter>) =
                std::mem::take(&mut state.waiting).into_iter().partition(|w| jobs.len() < MAX_ROWS && jobs.insert(w.beat.job_id));
            state.waiting = rest;
            state.busy = !group.is_empty();
            group
        };
        if group.is_empty() {
            return;
        }
        let mut beats: Vec<Beat> = group.iter().map(|w| w.beat.clone()).collect();
        // One order of locks for all processes.
        beats.sort_by_key(|b| b.job_id);
        let mut answers = backend.beats(beats).await;
        for waiter in group {
            let answer = match &mut answers {
                Ok(found) => Ok(found
                    .remove(&waiter.beat.job_id.0)
                    .map_or(BeatAnswer::Differs, |(command, debug)| BeatAnswer::Recorded { command, debug })),
                Err(e) => Err(e.clone()),
            };
            let _ = waiter.reply.send(answer);
        }
    }
}
