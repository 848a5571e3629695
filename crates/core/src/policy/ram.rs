//! Memory that jobs ask for, in the unit of those who ask.
//!
//! One unit everywhere: the task's own. A task that counts memory per core has the memory of its files per core too; the memory of a job is
//! always the whole job's ([`Ram::of_job`]).

/// Memory asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ram {
    /// MB, for each core or for the job.
    pub mb: i64,
    /// Whether it is for each core.
    pub per_core: bool,
    /// The task's own number stands, whatever was measured (`…Fixed`).
    pub fixed: bool,
    /// MB that do not grow with cores.
    pub base_mb: i64,
}

impl Ram {
    /// MB of a whole job.
    #[must_use]
    pub const fn job(mb: i64) -> Self {
        Self { mb, per_core: false, fixed: false, base_mb: 0 }
    }
    /// MB of a whole job on so many cores.
    #[must_use]
    pub const fn of(&self, cores: i64) -> i64 {
        self.mb.saturating_mul(self.factor(cores)).saturating_add(self.base_mb)
    }
    /// MB of a whole job on so many cores whose files need `file_mb` (this unit; 0 = no more than asked for).
    #[must_use]
    pub fn of_job(&self, file_mb: i64, cores: i64) -> i64 {
        Self { mb: self.mb.max(file_mb), ..*self }.of(cores)
    }
    /// What a job of so many MB on so many cores had, in this unit, rounded up.
    #[must_use]
    pub fn of_task(&self, job_mb: i64, cores: i64) -> i64 {
        let factor = self.factor(cores);
        ((job_mb - self.base_mb).max(0) + factor - 1) / factor
    }
    /// The most MB in this unit that a job of `cores` cores may state to stay within `mb`.
    #[must_use]
    pub const fn within(&self, mb: i64, cores: i64) -> i64 {
        mb.saturating_sub(self.base_mb) / self.factor(cores)
    }
    /// How many times a whole job has [`Self::mb`].
    #[must_use]
    pub const fn factor(&self, cores: i64) -> i64 {
        if cores < 1 || !self.per_core { 1 } else { cores }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_the_whole_and_a_file_in_the_tasks_unit() {
        let per_core = Ram { mb: 2_000, per_core: true, fixed: false, base_mb: 500 };
        let whole = Ram::job(2_000);
        assert_eq!((per_core.of_job(0, 8), per_core.of_job(3_000, 8), per_core.of_job(1_000, 8)), (16_500, 24_500, 16_500));
        assert_eq!((whole.of_job(0, 8), whole.of_job(3_000, 8)), (2_000, 3_000));
        assert_eq!((per_core.of_task(16_500, 8), per_core.of_task(16_501, 8), whole.of_task(2_000, 8)), (2_000, 2_001, 2_000));
        assert_eq!((per_core.within(16_500, 8), per_core.within(16_499, 8), whole.within(2_000, 8)), (2_000, 1_999, 2_000));
    }
}
