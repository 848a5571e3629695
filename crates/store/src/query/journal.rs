//! The journal: what operators and the system did that is not the state of a task or job.

use crate::{Batch, Error, Store, statements};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Number; rises with time.
    pub id: i64,
    /// Microseconds UTC.
    pub at_us: i64,
    /// Part of the system, e.g. `brake`, `drain`, `retention`.
    pub area: String,
    /// What was done, a word or two.
    pub what: String,
    /// To what.
    pub subject: String,
    /// Who did it; `engine` for the system itself.
    pub who: String,
    /// More, a JSON object.
    pub doc: Option<String>,
}

statements! {
    insert ADD = "journal.add" => journal (id: Int, at_us: Int, area: Text, what: Text, subject: Text, who: Text, doc: Text), "";
    [hot] read LIST = "journal.list", "SELECT id, at_us, area, what, subject, who, doc FROM journal WHERE id < :before ORDER BY id DESC LIMIT :n";
    [hot] read OF_AREA = "journal.of_area", "SELECT id, at_us, area, what, subject, who, doc FROM journal WHERE area = :area AND id < :before ORDER BY id DESC LIMIT :n";
}

/// Adds a line.
pub fn add(batch: &mut Batch, l: &Line) {
    batch.insert(
        &ADD,
        vec![
            l.id.into(),
            l.at_us.into(),
            (&l.area).into(),
            (&l.what).into(),
            (&l.subject).into(),
            (&l.who).into(),
            l.doc.as_deref().into(),
        ],
    );
}
/// The newest lines with a number below `before`, of one area or of all; at most `n` and 1,000.
pub async fn list(store: &Store, area: Option<&str>, before: i64, n: i64) -> Result<Vec<Line>, Error> {
    let mut binds = vec![("before", before.into()), ("n", n.min(super::MAX_PAGE).into())];
    binds.extend(area.map(|a| ("area", a.into())));
    let rows = store.fetch(if area.is_some() { &OF_AREA } else { &LIST }, binds).await?;
    rows.iter()
        .map(|r| {
            Ok(Line {
                id: r.int(0)?,
                at_us: r.int(1)?,
                area: r.text(2)?.to_owned(),
                what: r.text(3)?.to_owned(),
                subject: r.text(4)?.to_owned(),
                who: r.text(5)?.to_owned(),
                doc: r.opt_text(6)?.map(str::to_owned),
            })
        })
        .collect()
}
