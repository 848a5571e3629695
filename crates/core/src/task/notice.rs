//! Whether somebody is told that a task changed, the words, and when a delivery is tried again (`spec/engine.md` section 5.6).
//!
//! It must not know how anything is delivered, nor where settings are stored.

use super::state::TaskState;
use crate::time::Micros;

/// Whether a list of states (`done,failed`, `all`, `none`) holds this one.
#[must_use]
pub fn wanted(list: &str, state: TaskState) -> bool {
    list.split(',').map(str::trim).any(|word| word == "all" || word == state.as_str())
}

/// Fills `{word}` by its value; unknown words stay as they are.
#[must_use]
pub fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let known = tail.find('}').and_then(|end| Some((end, &values.iter().find(|(word, _)| *word == &tail[..end])?.1)));
        match known {
            Some((end, value)) => {
                out.push_str(value);
                rest = &tail[end + 1..];
            }
            None => {
                out.push('{');
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    out
}

/// When a delivery that failed `attempts` times is tried again: the first pause, doubled each time up to the longest.
#[must_use]
pub fn next_try(now: Micros, attempts: i64, first_s: i64, most_s: i64) -> Micros {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 40)).unwrap_or(0);
    now + Micros::from_secs(first_s.max(1).saturating_mul(1_i64 << doublings).min(most_s.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_and_the_words() {
        assert!(wanted("done, failed", TaskState::Failed) && wanted("all", TaskState::Pending));
        assert!(!wanted("done,failed", TaskState::Finished) && !wanted("none", TaskState::Done) && !wanted("", TaskState::Done));
        let values = [("id", "7".to_owned()), ("name", "{id}".to_owned())];
        assert_eq!(fill("{id}: {name} {what} {", &values), "7: {id} {what} {", "what a value says is not read again");
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pause = |n| next_try(Micros(0), n, 30, 3_600).as_secs();
        assert_eq!([pause(1), pause(2), pause(7), pause(8), pause(1_000)], [30, 60, 1_920, 3_600, 3_600]);
    }
}
