//! Retry of a whole task: how many attempts it adds and when it is refused (`spec/engine.md` sections 4.3 and 20.9).

/// Attempts that a retry of a task adds to those its files have behind them.
pub const ADDS: i64 = 5;

/// Limits beyond which a task is not retried but exhausted; none = no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Gates {
    /// Retries of the task.
    pub task_attempts: Option<i64>,
    /// Attempts of any of its files.
    pub job_attempts: Option<i64>,
    /// Part of its ended jobs that failed, 0 to 1.
    pub failure_rate: Option<f64>,
    /// Part of its HEP-score time that failed jobs used, 0 to 1.
    pub failed_score_rate: Option<f64>,
    /// HEP-score hours that failed jobs used.
    pub failed_score_hours: Option<f64>,
    /// CPU efficiency of its jobs, per cent, that it must reach.
    pub cpu_efficiency: Option<f64>,
}

/// What the task has behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Past {
    /// Retries so far.
    pub task_attempts: i64,
    /// Most attempts of a file.
    pub job_attempts: i64,
    /// Jobs that finished.
    pub finished: i64,
    /// Jobs that failed.
    pub failed: i64,
    /// HEP-score hours of jobs that finished.
    pub finished_score_hours: f64,
    /// HEP-score hours of jobs that failed.
    pub failed_score_hours: f64,
    /// Median CPU efficiency of its jobs, per cent, when anything is known.
    pub cpu_efficiency: Option<f64>,
}

/// Why the task is not retried: the first limit that it is beyond.
#[must_use]
pub fn beyond(gates: &Gates, past: &Past) -> Option<String> {
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    #[expect(clippy::cast_precision_loss, reason = "counts of jobs")]
    let failed = share(past.failed as f64, (past.failed + past.finished) as f64);
    let score = share(past.failed_score_hours, past.failed_score_hours + past.finished_score_hours);
    if let Some(most) = gates.task_attempts.filter(|most| past.task_attempts >= *most) {
        return Some(format!("it was retried {} times already, at most {most} are allowed", past.task_attempts));
    }
    if let Some(most) = gates.job_attempts.filter(|most| past.job_attempts >= *most) {
        return Some(format!("a file of it was tried {} times already, at most {most} are allowed", past.job_attempts));
    }
    if let Some(most) = gates.failure_rate.filter(|most| failed > *most) {
        return Some(format!("{:.0}% of its jobs failed, at most {:.0}% are allowed", failed * 100.0, most * 100.0));
    }
    if let Some(most) = gates.failed_score_rate.filter(|most| score > *most) {
        return Some(format!("failed jobs used {:.0}% of its HEP-score time, at most {:.0}% are allowed", score * 100.0, most * 100.0));
    }
    if let Some(most) = gates.failed_score_hours.filter(|most| past.failed_score_hours > *most) {
        return Some(format!("failed jobs used {:.0} HEP-score hours, at most {most:.0} are allowed", past.failed_score_hours));
    }
    if let (Some(least), Some(found)) = (gates.cpu_efficiency, past.cpu_efficiency)
        && found < least
    {
        return Some(format!("its jobs use {found:.0}% of their CPU time, at least {least:.0}% are wanted"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_one_by_one() {
        let past = Past {
            task_attempts: 3,
            job_attempts: 13,
            finished: 60,
            failed: 40,
            finished_score_hours: 700.0,
            failed_score_hours: 300.0,
            cpu_efficiency: Some(35.0),
        };
        assert_eq!(beyond(&Gates::default(), &past), None, "unset: no gate");
        let said = |gates: Gates| beyond(&gates, &past).unwrap_or_default();
        let none = Gates::default();
        let table = [
            (Gates { task_attempts: Some(3), ..none }, "it was retried 3 times already, at most 3 are allowed"),
            (Gates { task_attempts: Some(4), ..none }, ""),
            (Gates { job_attempts: Some(13), ..none }, "a file of it was tried 13 times already, at most 13 are allowed"),
            (Gates { job_attempts: Some(14), ..none }, ""),
            (Gates { failure_rate: Some(0.3), ..none }, "40% of its jobs failed, at most 30% are allowed"),
            (Gates { failure_rate: Some(0.4), ..none }, ""),
            (Gates { failed_score_rate: Some(0.2), ..none }, "failed jobs used 30% of its HEP-score time, at most 20% are allowed"),
            (Gates { failed_score_hours: Some(299.0), ..none }, "failed jobs used 300 HEP-score hours, at most 299 are allowed"),
            (Gates { failed_score_hours: Some(300.0), ..none }, ""),
            (Gates { cpu_efficiency: Some(50.0), ..none }, "its jobs use 35% of their CPU time, at least 50% are wanted"),
            (Gates { cpu_efficiency: Some(35.0), ..none }, ""),
        ];
        for (gates, want) in table {
            assert_eq!(said(gates), want);
        }
        assert_eq!(beyond(&Gates { cpu_efficiency: Some(50.0), ..none }, &Past { cpu_efficiency: None, ..past }), None, "nothing is known");
    }
}
