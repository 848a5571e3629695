//! Retry of a whole task: how many attempts it adds and when it is refused (`spec/engine.md` sections 4.3 and 20.9).
//!
//! It must not know where jobs and files are counted.

use crate::policy::broker::CORE_POWER_MILLI;
use crate::setting::{Setting, Values, task_retry as limit};

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

impl Gates {
    /// Those of a VO and label.
    #[must_use]
    pub fn of(values: &Values, vo: &str, label: &str) -> Self {
        let int = |s: &Setting| values.opt_int(s, vo, label);
        let float = |s: &Setting| values.opt_float(s, vo, label);
        let part = |s: &Setting| float(s).map(|percent| percent / 100.0);
        Self {
            task_attempts: int(&limit::ATTEMPTS),
            job_attempts: int(&limit::JOB_ATTEMPTS),
            failure_rate: part(&limit::FAILED_PERCENT),
            failed_score_rate: part(&limit::FAILED_SCORE_PERCENT),
            failed_score_hours: float(&limit::FAILED_SCORE_HOURS),
            cpu_efficiency: float(&limit::CPU_EFFICIENCY),
        }
    }
    /// Whether the ended jobs have to be counted.
    #[must_use]
    pub const fn count_jobs(&self) -> bool {
        self.failure_rate.is_some() || self.failed_score_rate.is_some() || self.failed_score_hours.is_some()
    }
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
    let says = |what: String, s: &Setting| Some(format!("{what} (setting {})", s.name));
    if let Some(most) = gates.task_attempts.filter(|most| past.task_attempts >= *most) {
        return says(format!("it was retried {} times already, at most {most} are allowed", past.task_attempts), &limit::ATTEMPTS);
    }
    if let Some(most) = gates.job_attempts.filter(|most| past.job_attempts >= *most) {
        return says(
            format!("a file of it was tried {} times already, at most {most} are allowed", past.job_attempts),
            &limit::JOB_ATTEMPTS,
        );
    }
    if let Some(most) = gates.failure_rate.filter(|most| failed > *most) {
        return says(
            format!("{:.0}% of its jobs failed, at most {:.0}% are allowed", failed * 100.0, most * 100.0),
            &limit::FAILED_PERCENT,
        );
    }
    if let Some(most) = gates.failed_score_rate.filter(|most| score > *most) {
        return says(
            format!("failed jobs used {:.0}% of its HEP-score time, at most {:.0}% are allowed", score * 100.0, most * 100.0),
            &limit::FAILED_SCORE_PERCENT,
        );
    }
    if let Some(most) = gates.failed_score_hours.filter(|most| past.failed_score_hours > *most) {
        return says(
            format!("failed jobs used {:.0} HEP-score hours, at most {most:.0} are allowed", past.failed_score_hours),
            &limit::FAILED_SCORE_HOURS,
        );
    }
    if let (Some(least), Some(found)) = (gates.cpu_efficiency, past.cpu_efficiency)
        && found < least
    {
        return says(format!("its jobs use {found:.0}% of their CPU time, at least {least:.0}% are wanted"), &limit::CPU_EFFICIENCY);
    }
    None
}

/// HEP-score hours of so many core seconds on cores of this power (thousandths; 0 = not stated).
#[must_use]
pub fn score_hours(core_s: i64, power_milli: i64) -> f64 {
    let power = if power_milli > 0 { power_milli } else { CORE_POWER_MILLI };
    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    let hours = core_s.max(0) as f64 * power as f64 / 1_000.0 / 3_600.0;
    hours
}

/// A job that ended well, as far as it tells how well it used its cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// CPU seconds, of all cores together.
    pub cpu_s: i64,
    /// Wall time, seconds.
    pub wall_s: i64,
    /// Cores.
    pub cores: i64,
}

/// Median CPU efficiency of these jobs, per cent; jobs that tell nothing do not count.
#[must_use]
pub fn efficiency(jobs: &[Sample]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    let one = |j: &Sample| j.cpu_s as f64 * 100.0 / (j.wall_s as f64 * j.cores.max(1) as f64);
    let mut all: Vec<f64> = jobs.iter().filter(|j| j.cpu_s > 0 && j.wall_s > 0).map(one).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
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
            (
                Gates { task_attempts: Some(3), ..none },
                "it was retried 3 times already, at most 3 are allowed (setting task.retry_attempts)",
            ),
            (Gates { task_attempts: Some(4), ..none }, ""),
            (
                Gates { job_attempts: Some(13), ..none },
                "a file of it was tried 13 times already, at most 13 are allowed (setting task.retry_job_attempts)",
            ),
            (Gates { job_attempts: Some(14), ..none }, ""),
            (
                Gates { failure_rate: Some(0.3), ..none },
                "40% of its jobs failed, at most 30% are allowed (setting task.retry_failed_percent)",
            ),
            (Gates { failure_rate: Some(0.4), ..none }, ""),
            (
                Gates { failed_score_rate: Some(0.2), ..none },
                "failed jobs used 30% of its HEP-score time, at most 20% are allowed (setting task.retry_failed_score_percent)",
            ),
            (
                Gates { failed_score_hours: Some(299.0), ..none },
                "failed jobs used 300 HEP-score hours, at most 299 are allowed (setting task.retry_failed_score_hours)",
            ),
            (Gates { failed_score_hours: Some(300.0), ..none }, ""),
            (
                Gates { cpu_efficiency: Some(50.0), ..none },
                "its jobs use 35% of their CPU time, at least 50% are wanted (setting task.retry_cpu_efficiency)",
            ),
            (Gates { cpu_efficiency: Some(35.0), ..none }, ""),
        ];
        for (gates, want) in table {
            assert_eq!(said(gates), want);
        }
        assert_eq!(beyond(&Gates { cpu_efficiency: Some(50.0), ..none }, &Past { cpu_efficiency: None, ..past }), None, "nothing is known");
    }

    #[test]
    fn gates_of_a_vo_and_label() {
        assert_eq!(Gates::of(&Values::default(), "amber", "user"), Gates::default(), "off as shipped");
        let given = [
            (&limit::ATTEMPTS, "3"),
            (&limit::JOB_ATTEMPTS, "30"),
            (&limit::FAILED_PERCENT, "50"),
            (&limit::FAILED_SCORE_PERCENT, "25"),
            (&limit::FAILED_SCORE_HOURS, "100"),
            (&limit::CPU_EFFICIENCY, "40"),
        ];
        let (values, problems) =
            Values::new(given.map(|(s, v)| ((s.name.to_owned(), "amber".to_owned(), "user".to_owned()), v.to_owned())));
        assert_eq!(problems, Vec::<String>::new());
        let want = Gates {
            task_attempts: Some(3),
            job_attempts: Some(30),
            failure_rate: Some(0.5),
            failed_score_rate: Some(0.25),
            failed_score_hours: Some(100.0),
            cpu_efficiency: Some(40.0),
        };
        assert_eq!((Gates::of(&values, "amber", "user"), Gates::of(&values, "amber", "managed")), (want, Gates::default()));
        assert!(want.count_jobs() && !Gates { task_attempts: Some(1), cpu_efficiency: Some(1.0), ..Gates::default() }.count_jobs());
    }

    #[test]
    fn what_is_measured() {
        let job = |cpu_s, wall_s, cores| Sample { cpu_s, wall_s, cores };
        assert_eq!(efficiency(&[]), None);
        assert_eq!(efficiency(&[job(0, 100, 1), job(50, 0, 1)]), None, "neither tells anything");
        assert_eq!(efficiency(&[job(90, 100, 1), job(80, 100, 2), job(10, 100, 1)]), Some(40.0));
        assert!((score_hours(7_200, 12_500) - 25.0).abs() < 1e-9 && (score_hours(3_600, 0) - 10.0).abs() < 1e-9);
    }
}
