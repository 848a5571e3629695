//! More memory for what ran out of it (`spec/engine.md` sections 11, 18 and 20.12).

use crate::policy::ram::Ram;

/// Memory steps in MB, per core for tasks that count so.
pub const LADDER: &[i64] = &[1_000, 2_000, 3_000, 4_000, 6_000, 8_000];
/// More files than this, per cent, whose memory had to be raised: the whole task is.
pub const WHOLE_TASK_PERCENT: i64 = 30;

/// What becomes of the memory of a job's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// They get so much, in the task's unit.
    To(i64),
    /// The task was raised meanwhile: the next job has more already.
    Already,
    /// There is no higher step, or no higher limit.
    Top,
    /// The action is not for this task.
    NotForThis,
}

/// One step of the ladder above what the job had.
#[must_use]
pub fn ladder(ram: &Ram, job_mb: i64, cores: i64) -> More {
    let had = ram.of_task(job_mb, cores);
    if ram.mb > had {
        return More::Already;
    }
    LADDER.iter().copied().find(|step| *step > had).map_or(More::Top, More::To)
}

/// How a task lets its memory grow (RX, RY, RZ), MB in its own unit; 0 = not given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Growth {
    /// Added at each growth (RX).
    pub offset_mb: i64,
    /// Divided by the task's memory the factor of each growth (RY).
    pub step_mb: i64,
    /// Most of a whole job (RZ).
    pub max_mb: i64,
}

/// What the job had, times RY over the task's own memory, and RX more; at most RZ. `asked_mb` is what the task asked for itself, before anything was
/// raised: the factor stays the same at each growth.
#[must_use]
pub fn xtimes(ram: &Ram, growth: &Growth, asked_mb: i64, job_mb: i64, cores: i64) -> More {
    if growth.step_mb <= 0 || asked_mb <= 0 {
        return More::NotForThis;
    }
    let had = ram.of_task(job_mb, cores);
    if ram.mb > had {
        return More::Already;
    }
    let grown = had.saturating_mul(growth.step_mb) / asked_mb + growth.offset_mb;
    let cap = if growth.max_mb > 0 { growth.max_mb / ram.factor(cores) } else { i64::MAX };
    let to = grown.min(cap);
    if to > had { More::To(to) } else { More::Top }
}

/// Whether the whole task is raised: of `files`, so many need more than it asks for.
#[must_use]
pub const fn whole_task(raised: i64, files: i64) -> bool {
    files > 0 && raised * 100 > files * WHOLE_TASK_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PER_CORE: Ram = Ram { mb: 2_000, per_core: true, fixed: false, base_mb: 500 };
    const WHOLE: Ram = Ram { per_core: false, base_mb: 0, ..PER_CORE };

    #[test]
    fn the_ladder_step_by_step() {
        let steps: Vec<More> =
            [0, 999, 1_000, 2_500, 4_000, 6_000, 8_000, 9_000].iter().map(|mb| ladder(&Ram::default(), *mb, 1)).collect();
        let want = [1_000, 1_000, 2_000, 3_000, 6_000, 8_000].map(More::To);
        assert_eq!(steps, [&want[..], &[More::Top, More::Top]].concat());
        assert_eq!(ladder(&PER_CORE, 16_500, 8), More::To(3_000), "per core, without the base");
        assert_eq!(ladder(&Ram { mb: 4_000, ..PER_CORE }, 16_500, 8), More::Already);
    }

    #[test]
    fn growth_as_the_task_says() {
        let growth = Growth { offset_mb: 0, step_mb: 3_000, max_mb: 0 };
        assert_eq!(xtimes(&WHOLE, &growth, 2_000, 2_000, 1), More::To(3_000));
        assert_eq!(xtimes(&WHOLE, &growth, 2_000, 3_000, 1), More::To(4_500), "the same factor again");
        assert_eq!(xtimes(&WHOLE, &Growth { offset_mb: 100, ..growth }, 2_000, 2_000, 1), More::To(3_100), "the offset counts");
        assert_eq!(xtimes(&WHOLE, &Growth { max_mb: 4_000, ..growth }, 2_000, 3_000, 1), More::To(4_000));
        assert_eq!(xtimes(&WHOLE, &Growth { max_mb: 4_000, ..growth }, 2_000, 4_000, 1), More::Top);
        assert_eq!(xtimes(&PER_CORE, &Growth { max_mb: 20_000, ..growth }, 2_000, 16_500, 8), More::To(2_500), "the limit is the job's");
        assert_eq!(xtimes(&WHOLE, &Growth::default(), 2_000, 2_000, 1), More::NotForThis);
        assert_eq!(xtimes(&Ram { mb: 5_000, ..WHOLE }, &growth, 2_000, 2_000, 1), More::Already);
    }

    #[test]
    fn more_than_thirty_in_a_hundred_raise_the_task() {
        assert_eq!((whole_task(30, 100), whole_task(31, 100), whole_task(1, 1), whole_task(0, 0)), (false, true, true, false));
    }

    proptest! {
        #[test]
        fn memory_only_grows_and_ends(mb in 0_i64..9_000, cores in 1_i64..64, base_mb in 0_i64..2_000, per_core: bool) {
            let ram = Ram { mb, per_core, fixed: false, base_mb };
            let mut file = 0;
            for _ in 0..=LADDER.len() {
                let job = ram.of_job(file, cores);
                match ladder(&ram, job, cores) {
                    More::To(step) => {
                        prop_assert!(ram.of_job(step, cores) > job);
                        file = step;
                    }
                    _ => break,
                }
            }
            prop_assert_eq!(ladder(&ram, ram.of_job(file, cores), cores), More::Top);
        }
    }
}
