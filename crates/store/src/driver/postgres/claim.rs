//! Claims and heartbeats, one statement each.

use std::sync::Arc;

use futures::future::BoxFuture;
use panda_core::id::{JobId, TaskId};

use super::{super::retry::retry, Inner, failure};
use crate::{
    batch::Binds,
    driver::{
        Beat, Claimed,
        beats::{Beats, Recorded},
        lanes::{From, Order, Taken, Takes},
    },
    error::Error,
    query::job::claim::{self as common_texts, postgres as texts},
    stmt::Stmt,
    value::{Row, Value},
};

impl Takes for Inner {
    // Commits of several lanes in one, but not all in one: the statements of a transaction run on one core.
    const ACROSS: Option<usize> = Some(3);

    fn take(&self, orders: Vec<Order>) -> BoxFuture<'_, Result<Vec<Taken>, Error>> {
        Box::pin(async move {
            let units: Vec<(&'static Stmt, Binds)> = orders.iter().map(statement).collect();
            let sets = match &units[..] {
                [(stmt, binds)] => vec![retry(|| self.fetch_once(stmt, binds)).await?],
                _ => retry(|| self.fetch_together(&units)).await?,
            };
            let mut out = vec![];
            for (number, rows) in sets.into_iter().enumerate() {
                for mut row in rows {
                    let (slot, job) = self.claimed(&orders[number], &mut row).await?;
                    out.push(Taken { order: number, slot, job });
                }
            }
            Ok(out)
        })
    }
    fn read(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        Box::pin(async move { self.fetch(stmt, &binds).await })
    }
}

/// The statement of an order.
fn statement(order: &Order) -> (&'static Stmt, Binds) {
    let mut binds: Binds = vec![
        ("lane", order.lane.into()),
        ("now", order.now_us.into()),
        ("ram", order.max_ram_mb.into()),
        ("disk", order.max_disk_mb.into()),
        ("wall", order.max_walltime_s.into()),
    ];
    let many = |binds: &mut Binds| {
        let hosts = order.hosts.iter().map(|h| h.clone().unwrap_or_default()).collect();
        binds.extend([("n", Value::from(i64::try_from(order.hosts.len()).unwrap_or(1))), ("hosts", Value::Texts(hosts))]);
    };
    let stmt = match &order.from {
        From::Key((neg, id)) => {
            binds.extend([("neg", (*neg).into()), ("id", (*id).into())]);
            if let [host] = &order.hosts[..] {
                binds.push(("host", host.as_deref().into()));
                &texts::TAKE_ONE
            } else {
                many(&mut binds);
                &texts::TAKE
            }
        }
        From::Ids { ids, wait } => {
            many(&mut binds);
            binds.push(("ids", ids.clone().into()));
            if *wait { &texts::WAIT_IDS } else { &texts::TAKE_IDS }
        }
    };
    (stmt, binds)
}

impl Inner {
    async fn claimed(&self, order: &Order, row: &mut Row) -> Result<(usize, Claimed), Error> {
        let slot = usize::try_from(row.int(6)? - 1).unwrap_or(usize::MAX);
        let common = match row.opt_int(8)? {
            None | Some(0) => Arc::from(""),
            Some(id) => self.common(id).await?,
        };
        let claimed = Claimed {
            job_id: JobId(row.int(0)?),
            task_id: row.opt_int(1)?.map(TaskId),
            lane_id: order.lane,
            attempt: row.int(2)?,
            priority: -row.int(3)?,
            person_id: row.int(4)?,
            debug: row.int(5)? != 0,
            cores: row.int(9)?,
            common,
            doc: row.take_text(7)?.unwrap_or_default(),
        };
        Ok((slot, claimed))
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
        let c = self.texts.get(&texts::BEATS)?;
        let client = self.connection().await?;
        let wrong = |e| failure(c.name, &e);
        let prepared = client.prepare_cached(c.text()).await.map_err(wrong)?;
        let jobs: Vec<i64> = group.iter().map(|b| b.job_id.0).collect();
        let attempts: Vec<Option<i64>> = group.iter().map(|b| b.attempt).collect();
        let states: Vec<&str> = group.iter().map(|b| b.state).collect();
        let nows: Vec<i64> = group.iter().map(|b| b.now_us).collect();
        let docs: Vec<Option<&str>> = group.iter().map(|b| b.doc.as_deref()).collect();
        let rows = client.query(&prepared, &[&jobs, &attempts, &states, &nows, &docs]).await.map_err(wrong)?;
        let read = |row: &tokio_postgres::Row| -> Result<_, tokio_postgres::Error> {
            Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get::<_, i64>(2)? != 0)))
        };
        rows.iter().map(|row| read(row).map_err(wrong)).collect()
    }
}

impl Beats for Inner {
    fn beats(&self, group: Vec<Beat>) -> BoxFuture<'_, Result<Recorded, Error>> {
        Box::pin(async move { retry(|| self.beats_once(&group)).await })
    }
}
