//! How many active tasks a person has (`spec/engine.md` section 20.1): counted at most once a second, since a count looks at all of them and each
//! submission asks; who would be refused is counted anew. Several processes may let a second's submissions of one another pass.

use std::collections::HashMap;

use panda_core::task::state::TaskState;
use panda_store::query::task;
use parking_lot::Mutex;

use super::submit::code;
use crate::{Ops, OpsError};

/// How long a count holds, microseconds.
const HOLDS_US: i64 = 1_000_000;
/// Most counts that are kept; all are forgotten beyond it.
const MAX_KEPT: usize = 10_000;

/// A person, of all labels or of one.
type Key = (i64, Option<String>);

/// When it was counted, and the count with what was submitted here since.
#[derive(Debug, Default)]
struct Known(Mutex<HashMap<Key, (i64, i64)>>);

/// Refuses another task of a person, of all labels or of this one, who has `most`.
pub(super) async fn check(ops: &Ops, person: i64, label: Option<&str>, most: i64) -> Result<(), OpsError> {
    let (known, now) = (ops.live.of::<Known>(), ops.now().0);
    let key = (person, label.map(str::to_owned));
    let counted = known.0.lock().get(&key).copied();
    if counted.is_some_and(|(at, n)| (at..at + HOLDS_US).contains(&now) && n < most) {
        return Ok(());
    }
    let active = match label {
        None => task::list::count_active(&ops.store, person, TaskState::COUNTED_ACTIVE).await?,
        Some(label) => task::list::count_active_label(&ops.store, person, label, TaskState::COUNTED_ACTIVE).await?,
    };
    {
        let mut known = known.0.lock();
        if known.len() >= MAX_KEPT {
            known.clear();
        }
        known.insert(key, (now, active));
    }
    if active < most {
        return Ok(());
    }
    let of = label.map(|l| format!(" of label {l}")).unwrap_or_default();
    Err(OpsError::coded(code::TOO_MANY, format!("too many active tasks{of}: {active} of at most {most}; wait until some have ended")))
}

/// Counts a task that was submitted.
pub(super) fn one_more(ops: &Ops, person: i64, label: &str) {
    let known = ops.live.of::<Known>();
    let mut known = known.0.lock();
    for key in [(person, None), (person, Some(label.to_owned()))] {
        if let Some((_, n)) = known.get_mut(&key) {
            *n += 1;
        }
    }
}
