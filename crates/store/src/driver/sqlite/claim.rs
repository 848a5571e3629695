//! Claims and heartbeats as units of the writer.

use std::sync::Arc;

use panda_core::id::{JobId, LaneId, TaskId};

use super::{Session, Sqlite};
use crate::{
    batch::Binds,
    driver::{Beat, BeatAnswer, Claim, Claimed, commons::Commons, scan},
    error::Error,
    query::job::claim::{self as texts, sqlite},
    value::{Row, Value},
};

/// Claims up to `claim.n` jobs, lane by lane. The writer sees every committed row, so an empty answer of the first unit is final unless more
/// rows than one statement looks at are held back by limits; those are scanned by readers.
pub(super) async fn run(driver: &Sqlite, claim: Claim) -> Result<Vec<Claimed>, Error> {
    let claim = Arc::new(claim);
    let (unit, commons) = (Arc::clone(&claim), Arc::clone(&driver.commons));
    if !claim.ids.is_empty() {
        let Some(lane) = claim.lanes.first().copied() else { return Ok(vec![]) };
        return driver.writer.run(move |s| take_ids(s, &commons, &unit, lane, &unit.ids)).await;
    }
    let taken = driver.writer.run(move |s| take(s, &commons, &unit)).await?;
    if !taken.is_empty() || !scan::limited(&claim) {
        return Ok(taken);
    }
    for lane in &claim.lanes {
        let taken = scan_lane(driver, &claim, *lane).await?;
        if !taken.is_empty() {
            return Ok(taken);
        }
    }
    Ok(vec![])
}

/// Looks behind the first rows of a lane, page by page.
async fn scan_lane(driver: &Sqlite, claim: &Arc<Claim>, lane: LaneId) -> Result<Vec<Claimed>, Error> {
    let mut key = scan::START;
    loop {
        let (stmt, binds) = scan::page(claim, lane, key);
        let rows = driver.readers.run(move |s| s.fetch(stmt, &binds)).await?;
        let page = scan::read(claim, &rows)?;
        if !page.ids.is_empty() {
            let (unit, commons) = (Arc::clone(claim), Arc::clone(&driver.commons));
            let taken = driver.writer.run(move |s| take_ids(s, &commons, &unit, lane, &page.ids)).await?;
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        match page.next {
            Some(next) => key = next,
            None => return Ok(vec![]),
        }
    }
}

fn take(s: &Session, commons: &Commons, claim: &Claim) -> Result<Vec<Claimed>, Error> {
    let mut out = vec![];
    for lane in &claim.lanes {
        loop {
            let left = (claim.n.max(1) as usize).saturating_sub(out.len());
            if left == 0 {
                return Ok(out);
            }
            let mut binds: Binds = vec![
                ("lane", (*lane).into()),
                ("now", claim.now_us.into()),
                ("host", claim.host.as_deref().into()),
                ("ram", claim.max_ram_mb.unwrap_or(i64::MAX).into()),
                ("disk", claim.max_disk_mb.unwrap_or(i64::MAX).into()),
                ("wall", claim.max_walltime_s.unwrap_or(i64::MAX).into()),
                ("person", claim.person_id.into()),
            ];
            let stmt = match claim.task_id {
                Some(task) => {
                    binds.push(("task", task.into()));
                    &sqlite::TAKE_TASK
                }
                None if left > 1 => {
                    binds.push(("n", Value::Int(i64::try_from(left).unwrap_or(1))));
                    &sqlite::TAKE_MANY
                }
                None => &sqlite::TAKE,
            };
            let rows = s.fetch(stmt, &binds)?;
            // Of several at once fewer than asked for are all that there are.
            let (found, one) = (rows.len(), claim.task_id.is_some() || left == 1);
            complete(s, commons, claim, *lane, rows, &mut out)?;
            if found == 0 || (!one && found < left) {
                break;
            }
        }
    }
    Ok(out)
}

fn take_ids(s: &Session, commons: &Commons, claim: &Claim, lane: LaneId, ids: &[i64]) -> Result<Vec<Claimed>, Error> {
    let mut out = vec![];
    for id in ids {
        let binds = vec![
            ("id", Value::Int(*id)),
            ("lane", lane.into()),
            ("now", claim.now_us.into()),
            ("host", claim.host.as_deref().into()),
            ("ram", claim.max_ram_mb.unwrap_or(i64::MAX).into()),
            ("disk", claim.max_disk_mb.unwrap_or(i64::MAX).into()),
            ("wall", claim.max_walltime_s.unwrap_or(i64::MAX).into()),
        ];
        let rows = s.fetch(&sqlite::TAKE_ID, &binds)?;
        if !rows.is_empty() {
            complete(s, commons, claim, lane, rows, &mut out)?;
            if out.len() >= claim.n.max(1) as usize {
                break;
            }
        }
    }
    Ok(out)
}

/// Writes the events of taken rows and reads their documents; they are handed out in the order of the lane.
fn complete(s: &Session, commons: &Commons, claim: &Claim, lane: LaneId, mut rows: Vec<Row>, out: &mut Vec<Claimed>) -> Result<(), Error> {
    rows.sort_by_key(|r| (r.int(3).unwrap_or(0), r.int(0).unwrap_or(0)));
    for row in &rows {
        let id = row.int(0)?;
        s.execute(&sqlite::EVENT, &vec![("id", id.into()), ("rev", row.int(6)?.into()), ("now", claim.now_us.into())])?;
        let (mut doc, mut common) = (String::new(), Arc::from(""));
        if let Some(mut found) = s.fetch(&sqlite::DOC, &vec![("id", id.into())])?.pop() {
            doc = found.take_text(0)?.unwrap_or_default();
            let common_id = found.int(1)?;
            common = match commons.get(common_id) {
                Some(common) => common,
                None if common_id == 0 => common,
                None => match s.fetch(&texts::COMMON, &vec![("id", common_id.into())])?.pop() {
                    Some(mut row) => commons.put(common_id, row.take_text(0)?.unwrap_or_default()),
                    None => common,
                },
            };
        }
        out.push(Claimed {
            job_id: JobId(id),
            task_id: row.opt_int(1)?.map(TaskId),
            lane_id: lane,
            attempt: row.int(2)?,
            priority: -row.int(3)?,
            person_id: row.int(4)?,
            debug: row.int(5)? != 0,
            cores: row.int(7)?,
            common,
            doc,
        });
    }
    Ok(())
}

/// Records a heartbeat if the job is as the pilot says.
pub(super) fn beat(s: &Session, beat: &Beat) -> Result<BeatAnswer, Error> {
    let Some(row) = s.fetch(&texts::BEAT_READ, &vec![("id", beat.job_id.into())])?.pop() else { return Ok(BeatAnswer::Differs) };
    let attempt = row.int(1)?;
    if row.text(0)? != beat.state || beat.attempt.is_some_and(|a| a != attempt) {
        return Ok(BeatAnswer::Differs);
    }
    let binds =
        vec![("job", beat.job_id.into()), ("attempt", attempt.into()), ("now", beat.now_us.into()), ("doc", beat.doc.as_deref().into())];
    s.execute(&texts::BEAT, &binds)?;
    Ok(BeatAnswer::Recorded { command: row.opt_text(2)?.map(str::to_owned), debug: row.int(3)? != 0 })
}
