//! Claims and heartbeats, two round trips each: rows are locked or read, then a text of several statements does the rest.

use std::{collections::HashMap, sync::Arc};

use futures::future::BoxFuture;
use mysql_async::{Conn, prelude::Queryable};
use panda_core::id::{JobId, LaneId, TaskId};

use super::{super::retry::retry, Inner, failure, value};
use crate::{
    batch::Binds,
    dialect::Bound,
    driver::{
        Beat, Claimed,
        beats::{Beats, Recorded},
        lanes::{From, Order, Taken, Takes},
    },
    error::Error,
    query::job::claim::{
        self as common_texts,
        mysql::{self as texts, LiveRow},
    },
    stmt::Stmt,
    value::{Row, Value},
};

/// Runs a text of several statements; answers the rows of all.
async fn several(conn: &mut Conn, name: &'static str, text: String) -> Result<Vec<Row>, Error> {
    let wrong = |e| failure(name, &e);
    let mut result = conn.query_iter(text).await.map_err(wrong)?;
    let mut found: Vec<mysql_async::Row> = vec![];
    loop {
        let rows: Vec<mysql_async::Row> = result.collect().await.map_err(wrong)?;
        found.extend(rows);
        if result.is_empty() {
            break;
        }
    }
    drop(result);
    found.iter().map(|row| value::row(name, row)).collect()
}

/// Puts integers in place of the binds.
fn inline(sql: &str, values: &[Bound<'_>]) -> String {
    let mut out = String::with_capacity(sql.len() + 8 * values.len());
    let mut values = values.iter();
    for (i, part) in sql.split('?').enumerate() {
        if i > 0 {
            match values.next() {
                Some(Bound::Int(v)) => out.push_str(&v.to_string()),
                _ => out.push_str("NULL"),
            }
        }
        out.push_str(part);
    }
    out
}

impl Takes for Inner {
    // A transaction costs some hundred microseconds here, a row of it some ten.
    const ACROSS: Option<usize> = Some(2);

    fn take(&self, orders: Vec<Order>) -> BoxFuture<'_, Result<Vec<Taken>, Error>> {
        Box::pin(async move {
            let rows = retry(|| self.take_once(&orders)).await?;
            let mut out = Vec::with_capacity(rows.len());
            for (order, slot, mut row) in rows {
                out.push(Taken { order, slot, job: self.claimed(orders[order].lane, &mut row).await? });
            }
            Ok(out)
        })
    }
    fn read(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        Box::pin(async move { self.fetch(stmt, &binds).await })
    }
}

/// A row with its order and slot.
type Placed = (usize, usize, Row);

impl Inner {
    /// The text that locks the rows of an order.
    fn pick(&self, order: &Order) -> Result<String, Error> {
        let mut binds: Binds = vec![("lane", order.lane.into()), ("n", Value::from(i64::try_from(order.hosts.len()).unwrap_or(1)))];
        let stmt = match &order.from {
            From::Key((neg, id)) => {
                binds.extend([("neg", (*neg).into()), ("id", (*id).into())]);
                &texts::PICK
            }
            From::Ids { ids, wait } => {
                binds.push(("ids", ids.clone().into()));
                if *wait { &texts::WAIT_IDS } else { &texts::PICK_IDS }
            }
        };
        let c = self.texts.get(stmt)?;
        let (sql, values) = c.bind(&binds)?;
        Ok(inline(&sql, &values))
    }

    async fn take_once(&self, orders: &[Order]) -> Result<Vec<Placed>, Error> {
        let mut conn = self.connection().await?;
        let taken = self.take_on(&mut conn, orders).await;
        match &taken {
            // The text has committed.
            Ok(rows) if !rows.is_empty() => {}
            _ => {
                if conn.query_drop("ROLLBACK").await.is_err() {
                    let _ = conn.disconnect().await;
                }
            }
        }
        taken
    }

    async fn take_on(&self, conn: &mut Conn, orders: &[Order]) -> Result<Vec<Placed>, Error> {
        let mut text = String::from("START TRANSACTION");
        for order in orders {
            text.push_str("; ");
            text.push_str(&self.pick(order)?);
        }
        // The first trip: locks. Order and slot by job.
        let (mut places, mut rows, mut used) = (HashMap::new(), vec![], vec![0; orders.len()]);
        for row in several(conn, "claim.pick", text).await? {
            let (id, lane) = (row.int(0)?, row.int(4)?);
            let Some(number) = orders.iter().position(|o| o.lane.0 == lane) else { continue };
            let (order, slot) = (&orders[number], used[number]);
            used[number] += 1;
            if row.int(1)? <= order.max_ram_mb && row.int(2)? <= order.max_disk_mb && row.int(3)? <= order.max_walltime_s {
                places.insert(id, (number, slot));
                rows.push((id, order.hosts.get(slot).and_then(Option::as_deref)));
            }
        }
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let now = orders.iter().map(|o| o.now_us).max().unwrap_or_default();
        let mut out = Vec::with_capacity(rows.len());
        for row in several(conn, "claim.take", texts::take_text(&rows, now)).await? {
            let (order, slot) = places.get(&row.int(0)?).copied().ok_or(Error::Conflict("claim.take"))?;
            out.push((order, slot, row));
        }
        out.sort_by_key(|(order, slot, _)| (*order, *slot));
        Ok(out)
    }

    async fn claimed(&self, lane: LaneId, row: &mut Row) -> Result<Claimed, Error> {
        let common = match row.opt_int(7)? {
            None | Some(0) => Arc::from(""),
            Some(id) => self.common(id).await?,
        };
        Ok(Claimed {
            job_id: JobId(row.int(0)?),
            task_id: row.opt_int(1)?.map(TaskId),
            lane_id: lane,
            attempt: row.int(2)?,
            priority: -row.int(3)?,
            person_id: row.int(4)?,
            debug: row.int(5)? != 0,
            cores: row.int(8)?,
            common,
            doc: row.take_text(6)?.unwrap_or_default(),
        })
    }

    async fn common(&self, id: i64) -> Result<Arc<str>, Error> {
        if let Some(doc) = self.commons.get(id) {
            return Ok(doc);
        }
        match self.fetch(&common_texts::COMMON, &vec![("id", id.into())]).await?.pop() {
            Some(mut row) => Ok(self.commons.put(id, row.take_text(0)?.unwrap_or_default())),
            None => Ok(Arc::from("")),
        }
    }

    async fn beats_once(&self, group: &[Beat]) -> Result<Recorded, Error> {
        let mut conn = self.connection().await?;
        let rows = several(&mut conn, "beat.read", texts::beats_read(group.iter().map(|b| b.job_id.0))).await?;
        let mut jobs = HashMap::with_capacity(rows.len());
        for row in rows {
            jobs.insert(row.int(0)?, row);
        }
        let mut out = HashMap::with_capacity(group.len());
        let mut live: Vec<LiveRow<'_>> = Vec::with_capacity(group.len());
        for beat in group {
            let Some(job) = jobs.get(&beat.job_id.0) else { continue };
            let attempt = job.int(2)?;
            if job.text(1)? == beat.state && beat.attempt.is_none_or(|a| a == attempt) {
                live.push((beat.job_id.0, attempt, beat.now_us, beat.doc.as_deref()));
                out.insert(beat.job_id.0, (job.opt_text(3)?.map(str::to_owned), job.int(4)? != 0));
            }
        }
        if !live.is_empty() {
            conn.query_drop(texts::beats_text(&live)).await.map_err(|e| failure("beat.write", &e))?;
        }
        Ok(out)
    }
}

impl Beats for Inner {
    fn beats(&self, group: Vec<Beat>) -> BoxFuture<'_, Result<Recorded, Error>> {
        Box::pin(async move { retry(|| self.beats_once(&group)).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_place_of_binds() {
        assert_eq!(inline("a = ? AND b IN (?,?)", &[Bound::Int(1), Bound::Int(-2), Bound::Null]), "a = 1 AND b IN (-2,NULL)");
    }
}
