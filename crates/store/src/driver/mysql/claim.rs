//! Claims and heartbeats, two round trips each: rows are locked or read, then a text of several statements does the rest.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures::future::BoxFuture;
use mysql_async::{Conn, prelude::Queryable};
use panda_core::id::{JobId, TaskId};

use super::{super::retry::retry, Inner, failure, value};
use crate::{
    batch::Binds,
    dialect::Bound,
    driver::{
        Beat, Claimed,
        beats::{Beats, Recorded},
        lanes::{From, Order, Takes},
    },
    error::Error,
    query::job::claim::{
        self as common_texts,
        mysql::{self as texts, LiveRow},
    },
    stmt::Stmt,
    value::{Row, Value},
};

/// Runs a text of several statements; answers the rows of the last one that has any.
async fn several(conn: &mut Conn, name: &'static str, text: String) -> Result<Vec<Row>, Error> {
    let wrong = |e| failure(name, &e);
    let mut result = conn.query_iter(text).await.map_err(wrong)?;
    let mut found = vec![];
    loop {
        let rows: Vec<mysql_async::Row> = result.collect().await.map_err(wrong)?;
        if !rows.is_empty() {
            found = rows;
        }
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
    fn take(&self, order: Order) -> BoxFuture<'_, Result<Vec<(usize, Claimed)>, Error>> {
        Box::pin(async move {
            let rows = retry(|| self.take_once(&order)).await?;
            let mut out = Vec::with_capacity(rows.len());
            for (slot, mut row) in rows {
                out.push((slot, self.claimed(&order, &mut row).await?));
            }
            Ok(out)
        })
    }
    fn read(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        Box::pin(async move { self.fetch(stmt, &binds).await })
    }
}

impl Inner {
    /// The first trip: a transaction and its locks.
    async fn pick(&self, conn: &mut Conn, order: &Order) -> Result<Vec<Row>, Error> {
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
        several(conn, stmt.name, format!("START TRANSACTION; {}", inline(&sql, &values))).await
    }

    async fn take_once(&self, order: &Order) -> Result<Vec<(usize, Row)>, Error> {
        let mut conn = self.connection().await?;
        let taken = self.take_on(&mut conn, order).await;
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

    async fn take_on(&self, conn: &mut Conn, order: &Order) -> Result<Vec<(usize, Row)>, Error> {
        let mut slots = BTreeMap::new();
        let mut rows = vec![];
        for (slot, row) in self.pick(conn, order).await?.iter().enumerate() {
            if row.int(1)? <= order.max_ram_mb && row.int(2)? <= order.max_disk_mb && row.int(3)? <= order.max_walltime_s {
                slots.insert(row.int(0)?, slot);
                rows.push((row.int(0)?, order.hosts.get(slot).and_then(Option::as_deref)));
            }
        }
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let taken = several(conn, "claim.take", texts::take_text(&rows, order.now_us)).await?;
        let mut out = Vec::with_capacity(taken.len());
        for row in taken {
            out.push((slots.get(&row.int(0)?).copied().unwrap_or(usize::MAX), row));
        }
        out.sort_by_key(|(slot, _)| *slot);
        Ok(out)
    }

    async fn claimed(&self, order: &Order, row: &mut Row) -> Result<Claimed, Error> {
        let common = match row.opt_int(7)? {
            None | Some(0) => Arc::from(""),
            Some(id) => self.common(id).await?,
        };
        Ok(Claimed {
            job_id: JobId(row.int(0)?),
            task_id: row.opt_int(1)?.map(TaskId),
            lane_id: order.lane,
            attempt: row.int(2)?,
            priority: -row.int(3)?,
            person_id: row.int(4)?,
            debug: row.int(5)? != 0,
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
