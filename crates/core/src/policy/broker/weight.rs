//! How good a queue is among those that pass.

use crate::job::state::JobState;

use super::limits::Term;
use super::needs::{Needs, Offer, World};

/// Free space above which more does not count, GB (`spec/engine.md` 20.11: FREE_DISK_CUTOFF, 1000 TB).
const SPACE_CUTOFF_GB: i64 = 1_000_000;

#[expect(clippy::cast_precision_loss, reason = "counts and bytes; a weight is an estimate")]
fn f(n: i64) -> f64 {
    n.max(0) as f64
}

/// The weight of a queue: the product of the terms.
pub(super) fn weight(offer: &Offer<'_>, needs: &Needs, world: &World<'_>) -> f64 {
    world.limits.terms.iter().fold(1.0, |w, (term, exponent)| {
        let t = value(*term, offer, needs, world);
        w * if (*exponent - 1.0).abs() < f64::EPSILON { t } else { t.powf(*exponent) }
    })
}

fn value(term: Term, offer: &Offer<'_>, needs: &Needs, world: &World<'_>) -> f64 {
    let at = &offer.at.all;
    let share = world.input.map(|i| (i.all, i.of(offer.queue, world.storages)));
    match term {
        Term::Load => (f(at.running()) + 1.0) / (f(at.queued()) + 1.0) / (f(at.defined()) + 1.0),
        Term::Production => {
            let running = f(at.jobs(&[JobState::Running])) + 1.0;
            let (activated, assigned) = (f(at.activated()), f(at.jobs(&[JobState::Assigned])));
            let starting = f(at.jobs(&[JobState::Sent, JobState::Starting]));
            let defined = f(at.defined()) - assigned;
            match share {
                Some((_, s)) if s.to_move.files > 0 => {
                    running / (activated + assigned + starting + defined + 10.0) / ((assigned + 1.0) / (activated + 1.0)).clamp(1.0, 2.0)
                }
                _ => running / (activated + starting + defined + 10.0),
            }
        }
        Term::Locality => share.map_or(1.0, |(all, s)| {
            let bytes = f(all.bytes).max(1.0);
            (bytes + f(s.local.bytes)) / bytes / (f(s.to_move.files) / 100.0 + 1.0)
        }),
        Term::Network => share.map_or(1.0, |(_, s)| match s.mbps {
            _ if s.to_move.files == 0 => 1.0,
            Some(mbps) => 1.0 / (1.0 + f(s.to_move.bytes) * 8.0 / (f(mbps).max(0.001) * 1e6) / 3_600.0),
            None => 1.0 / (1.0 + f(s.cost)),
        }),
        Term::Space => {
            let free = offer.queue.storage.as_ref().and_then(|e| world.storages.endpoints.get(e)?.free_gb);
            free.map_or(1.0, |gb| f(gb.min(SPACE_CUTOFF_GB)) / f(SPACE_CUTOFF_GB))
        }
        Term::Success => {
            let e = offer.at.ended.get(&needs.person).copied().unwrap_or_default();
            (f(e.finished) + 1.0) / (f(e.finished) + f(e.failed) + 1.0)
        }
    }
}
