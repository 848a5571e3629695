//! Which rows are taken for jobs by one statement: jobs that follow one another with as many rows each are one range.

/// A job that takes rows of one data set, which have these places within it (rising).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taker {
    /// Number of the job.
    pub job: i64,
    /// Places of its rows.
    pub seqs: Vec<i64>,
}

/// Rows `first..=last` of a data set go to jobs from `job` on, `each` to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First place.
    pub first: i64,
    /// Last place.
    pub last: i64,
    /// Job of the first row.
    pub job: i64,
    /// Rows of a job.
    pub each: i64,
}

impl Run {
    /// Rows in it.
    #[must_use]
    pub const fn rows(&self) -> i64 {
        self.last - self.first + 1
    }
    /// The job that a row goes to.
    #[must_use]
    pub const fn job_of(&self, seq: i64) -> i64 {
        self.job + (seq - self.first) / self.each
    }
}

/// The fewest ranges, in order, that give every row to its job and name no other row.
#[must_use]
pub fn runs(takers: &[Taker]) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for t in takers {
        let mut rest = t.seqs.as_slice();
        while let Some((&first, _)) = rest.split_first() {
            let n = rest.iter().zip(first..).take_while(|(seq, want)| **seq == *want).count();
            let (block, more) = rest.split_at(n);
            let last = block[n - 1];
            let rows = last - first + 1;
            match out.last_mut() {
                // It goes on with the next job, which has as many rows or, being the last, fewer.
                Some(run)
                    if run.last + 1 == first && run.job_of(run.last) + 1 == t.job && run.rows() % run.each == 0 && rows <= run.each =>
                {
                    run.last = last;
                }
                _ => out.push(Run { first, last, job: t.job, each: rows }),
            }
            rest = more;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_goes_to_its_job(jobs in prop::collection::vec((0_i64..3, 1_usize..6, 0_i64..2), 1..40)) {
            let (mut seq, mut job) = (0, 100);
            let mut takers = Vec::new();
            for (gap, n, skip) in jobs {
                job += 1 + skip;
                let mut seqs = Vec::new();
                for i in 0..n {
                    seq += 1 + if i == 0 || gap == 2 { gap } else { 0 };
                    seqs.push(seq);
                }
                takers.push(Taker { job, seqs });
            }
            let found: Vec<(i64, i64)> =
                runs(&takers).iter().flat_map(|r| (r.first..=r.last).map(|s| (s, r.job_of(s))).collect::<Vec<_>>()).collect();
            let expected: Vec<(i64, i64)> = takers.iter().flat_map(|t| t.seqs.iter().map(|s| (*s, t.job)).collect::<Vec<_>>()).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn jobs_of_one_size_are_one_range() {
        let takers: Vec<Taker> =
            (0..100).map(|j| Taker { job: 5_000 + j, seqs: (j * 10 + 1..=j * 10 + if j == 99 { 4 } else { 10 }).collect() }).collect();
        assert_eq!(runs(&takers), [Run { first: 1, last: 994, job: 5_000, each: 10 }]);
    }
}
