//! Caps: what a user, a working group or a VO may have running and queued.

use panda_core::{job::state::JobState, policy::load::Counts};
use panda_core::{
    policy::throttle::{self, Cap, Factors, Has},
    setting::{
        ANY, Setting, Values,
        dispatch::{GROUP_CORES, GROUP_JOBS, HOLD_AT, QUEUED_FACTOR, RELEASE_AT, USER_CORES, USER_JOBS, VO_CORES, VO_JOBS},
    },
};
use serde_json::json;

use super::{Hold, groups};
use crate::{Ops, OpsError, statistics};

/// Stage of its records.
pub const STAGE: &str = "cap";

/// Whose jobs are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// Row of the person.
    pub person: i64,
    /// VO.
    pub vo: &'a str,
    /// Working group; empty = none.
    pub group: &'a str,
}

/// The cap that two settings state for a VO.
pub(super) fn of(settings: &Values, jobs: &Setting, cores: &Setting, vo: &str) -> Cap {
    Cap { jobs: settings.opt_int(jobs, vo, ANY), cores: settings.opt_int(cores, vo, ANY) }
}

pub(super) fn factors(settings: &Values, vo: &str) -> Factors {
    let at = |s| settings.float(s, vo, ANY);
    Factors { queued: at(&QUEUED_FACTOR), hold: at(&HOLD_AT), release: at(&RELEASE_AT) }
}

pub(super) fn has(counts: &Counts) -> Has {
    Has {
        running: counts.running(),
        running_cores: counts.running_cores(),
        queued: counts.activated(),
        queued_cores: counts.cores(&[JobState::Activated]),
        held: 0,
    }
}

/// The first cap that lets no more jobs be made for them, if any.
pub async fn ask(ops: &Ops, whose: &Whose<'_>) -> Result<Option<Hold>, OpsError> {
    let settings = ops.settings().await?;
    let vo = whose.vo;
    let caps = [
        ("user", of(&settings, &USER_JOBS, &USER_CORES, vo)),
        ("group", of(&settings, &GROUP_JOBS, &GROUP_CORES, vo)),
        ("vo", of(&settings, &VO_JOBS, &VO_CORES, vo)),
    ];
    if caps.iter().all(|(_, cap)| *cap == Cap::default()) {
        return Ok(None);
    }
    let load = statistics::load(ops).await?;
    let factors = factors(&settings, vo);
    for (kind, cap) in caps.into_iter().filter(|(_, cap)| *cap != Cap::default()) {
        let (name, has) = match kind {
            "user" => (format!("user `{}`", ops.person_by_id(whose.person).await?.name), has(load.person(whose.person))),
            "group" if whose.group.is_empty() => continue,
            "group" => {
                let groups = groups(ops).await?;
                let has = groups.get(&(vo.to_owned(), whose.group.to_owned())).copied().unwrap_or_default();
                (format!("working group `{}`", whose.group), has)
            }
            _ => (format!("VO `{vo}`"), has(load.vo(vo))),
        };
        if let Some(reached) = throttle::reached(&cap, &has, &factors) {
            let reason = reached.sentence(&name);
            let doc = json!({
                "reason": reason, "whose": kind, "unit": reached.unit, "found": reached.found, "limit": reached.limit,
                "running": has.running, "running_cores": has.running_cores, "queued": has.queued, "queued_cores": has.queued_cores,
            });
            return Ok(Some(Hold { stage: STAGE, reason, doc: doc.to_string() }));
        }
    }
    Ok(None)
}
