//! The archive: what has ended some days ago, moved whole into cold tables of the same shape (`job_archive*`, `task_archive*`).
//!
//! [`job`] and [`task`] read hot rows and cold ones as one list, for people and the API: a row that moves meanwhile is found once. The
//! engine's loops and the dispatch read hot tables only. [`shift`] moves rows, [`expire`] removes them for good. Nothing else writes here.

pub mod expire;
pub mod job;
pub mod shift;
pub mod task;

/// Hot and cold rows as one page: by key, each once, at most `n`. Hot rows were read first, so what moved in between stands twice.
fn page<T, K: Ord>(mut rows: Vec<T>, cold: Vec<T>, key: impl Fn(&T) -> K, n: i64) -> Vec<T> {
    rows.extend(cold);
    rows.sort_by_key(&key);
    rows.dedup_by(|a, b| key(a) == key(b));
    rows.truncate(usize::try_from(n).unwrap_or(0));
    rows
}

/// Counts by name, added up.
fn sum(hot: Vec<(String, i64)>, cold: Vec<(String, i64)>) -> Vec<(String, i64)> {
    let mut all = std::collections::BTreeMap::new();
    for (name, n) in hot.into_iter().chain(cold) {
        *all.entry(name).or_insert(0) += n;
    }
    all.into_iter().collect()
}
