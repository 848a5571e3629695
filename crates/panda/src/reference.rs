//! How people name tasks and jobs: `task/10000001`, `job/1000000001`, or the bare number.

use crate::failure::Failure;

/// First number of a task.
const TASKS_FROM: i64 = 10_000_000;
/// First number of a job; task ids stay below.
const JOBS_FROM: i64 = 1_000_000_000;

/// A task or a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A task.
    Task(i64),
    /// A job.
    Job(i64),
}

impl Reference {
    /// Reads what a person wrote. A number says by its size what it is.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::usage(format!("`{text}` is no task or job"))
                .hint("write `task/10000001`, `job/1000000001` or the number; `panda tasks` lists your tasks")
        };
        let (kind, number) = text.trim().split_once('/').map_or(("", text.trim()), |(kind, number)| (kind, number));
        let number: i64 = number.parse().map_err(|_| wrong())?;
        match (kind, number) {
            ("task", TASKS_FROM..) => Ok(Self::Task(number)),
            ("job", JOBS_FROM..) => Ok(Self::Job(number)),
            ("", JOBS_FROM..) => Ok(Self::Job(number)),
            ("", TASKS_FROM..) => Ok(Self::Task(number)),
            _ => Err(wrong()),
        }
    }

    /// A task; a job is a mistake here.
    pub fn task(text: &str) -> Result<i64, Failure> {
        match Self::parse(text)? {
            Self::Task(id) => Ok(id),
            Self::Job(_) => Err(Failure::usage(format!("`{text}` is a job, but a task is wanted here"))),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task(id) => write!(f, "task/{id}"),
            Self::Job(id) => write!(f, "job/{id}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_what_they_are() {
        assert_eq!(Reference::parse("10000001").unwrap(), Reference::Task(10_000_001));
        assert_eq!(Reference::parse(" task/10000001 ").unwrap(), Reference::Task(10_000_001));
        assert_eq!(Reference::parse("1000000001").unwrap(), Reference::Job(1_000_000_001));
        assert_eq!(Reference::parse("job/1000000001").unwrap().to_string(), "job/1000000001");
        for text in ["", "1", "task/1", "job/10000001", "jobs/1000000001", "x", "task/", "-5"] {
            assert_eq!(Reference::parse(text).unwrap_err().code, 2, "{text}");
        }
        assert!(Reference::task("job/1000000001").unwrap_err().message.contains("is a job"));
    }
}
