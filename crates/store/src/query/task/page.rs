//! Pages of tasks for people who look, newest first, and tasks by state.

use panda_core::{id::TaskId, task::state::TaskState};

use super::{TaskRow, read, task_columns};
use crate::{Error, Store, query::MAX_PAGE, statements};

statements! {
    read COUNT = "task.count", "SELECT state, COUNT(*) FROM task GROUP BY state ORDER BY state LIMIT 100";
    read EVERY = "task.page", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.id < :before AND t.modified_us >= :since ORDER BY t.id DESC LIMIT :n");
    [hot] read STATES = "task.page_states", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.state IN (:states*) AND t.id < :before AND t.modified_us >= :since ORDER BY t.id DESC LIMIT :n");
    [hot] read PEOPLE = "task.page_people", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.person_id IN (:people*) AND t.modified_us >= :since AND t.id < :before ORDER BY t.id DESC LIMIT :n");
    [hot] read BOTH = "task.page_people_states", concat!("SELECT ", task_columns!(), " FROM task t WHERE t.person_id IN (:people*) AND t.modified_us >= :since AND t.state IN (:states*) AND t.id < :before ORDER BY t.id DESC LIMIT :n");
}

/// Which tasks a page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; empty = any.
    pub states: Vec<TaskState>,
    /// Of one of these people (rows of `person`, at most 1,000); None = anybody's.
    pub people: Option<Vec<i64>>,
    /// Changed since, microseconds UTC.
    pub since_us: i64,
    /// With a number below this one.
    pub before: TaskId,
}

/// How many tasks are in each state.
pub async fn counts(store: &Store) -> Result<Vec<(String, i64)>, Error> {
    store.fetch(&COUNT, vec![]).await?.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect()
}
/// The newest tasks that the filter lets through; at most `n` and 1,000.
pub async fn page(store: &Store, f: &Filter, n: i64) -> Result<Vec<TaskRow>, Error> {
    let mut binds = vec![("before", f.before.into()), ("since", f.since_us.into()), ("n", n.min(MAX_PAGE).into())];
    if !f.states.is_empty() {
        let states: Vec<String> = f.states.iter().map(|s| s.as_str().to_owned()).collect();
        binds.push(("states", states.into()));
    }
    let statement = match &f.people {
        Some(people) if people.is_empty() => return Ok(Vec::new()),
        Some(people) => {
            binds.push(("people", people.clone().into()));
            if f.states.is_empty() { &PEOPLE } else { &BOTH }
        }
        None if f.states.is_empty() => &EVERY,
        None => &STATES,
    };
    store.fetch(statement, binds).await?.iter().map(read).collect()
}
