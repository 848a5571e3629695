//! Secondary inputs: which of their files go along with a job (`spec/engine.md` section 6.1, "Secondary inputs, per step").

use super::Stop;

/// Files that an event ratio may bring into one job (`spec/engine.md` 20.7).
pub const MAX_BY_EVENTS: usize = 10_000;

/// A file of a secondary input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecFile {
    /// Bytes.
    pub bytes: i64,
    /// Events.
    pub events: i64,
}

/// How many files of a secondary input a job takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Take {
    /// All of them (`nosplit`).
    Whole,
    /// So many (`nFilesPerJob` of the item).
    PerJob(usize),
    /// So many for each master row, rounded (`ratio`); 1 when the task says nothing.
    Ratio(f64),
    /// Until their events are so many for each event of the master (`eventRatio`).
    EventRatio(f64),
}

/// What happens when a secondary input is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reuse {
    /// No more jobs can be made.
    #[default]
    Never,
    /// When a job finds too few, it starts again at the first (`reusable`, `reuseSecOnDemand`).
    Restart,
    /// It wraps around, so that every file is used equally often (`repeat`).
    Wrap,
}

/// A secondary input: a part of its files, which may be all, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Secondary {
    /// The files in hand. Of a set that recurs they may go on at its beginning behind its end.
    pub files: Vec<SecFile>,
    /// Position of the first of them within the set.
    pub first: usize,
    /// Files of the set; `usize::MAX` when more follow behind those in hand and nobody has counted them.
    pub total: usize,
    /// How many a job takes.
    pub take: Take,
    /// What happens at its end.
    pub reuse: Reuse,
    /// Position where the next job starts to take.
    pub next: usize,
}

impl Secondary {
    /// A set that is wholly in hand, from its beginning.
    #[must_use]
    pub fn whole(files: Vec<SecFile>, take: Take, reuse: Reuse) -> Self {
        Self { total: files.len(), files, first: 0, take, reuse, next: 0 }
    }
    /// Index among the files in hand of a position within the set.
    fn index(&self, position: usize) -> Option<usize> {
        let at = if position >= self.first { position - self.first } else { position + self.total - self.first };
        (at < self.files.len()).then_some(at)
    }
    /// Files that a job of so many rows and events wants from `at`; [`Take::Whole`] and ratios by files need no look at the files.
    fn wanted(&self, at: usize, rows: usize, events: i64) -> Result<usize, ()> {
        match self.take {
            Take::Whole => Ok(self.total),
            Take::PerJob(count) => Ok(count),
            #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
            Take::Ratio(ratio) => Ok(rounded(ratio, rows as f64)),
            #[expect(clippy::cast_precision_loss, reason = "a count of events")]
            Take::EventRatio(ratio) => {
                let aim = rounded(ratio, events.max(0) as f64);
                let (mut sum, mut n) = (0_usize, 0);
                while sum < aim && n < MAX_BY_EVENTS.min(self.total) {
                    let position = if self.reuse == Reuse::Never { at + n } else { (at + n) % self.total.max(1) };
                    if position >= self.total {
                        break; // not enough: what there is
                    }
                    let file = self.files[self.index(position).ok_or(())?];
                    sum = sum.saturating_add(usize::try_from(file.events).unwrap_or(0));
                    n += 1;
                }
                // Some are better than none; where none is left, asking for one says so.
                Ok(if aim > 0 { n.max(1) } else { n })
            }
        }
    }
    /// Indices of the files of one job that starts to take at `at`, and where the next one starts.
    pub(super) fn pick(&self, at: usize, rows: usize, events: i64) -> Result<(Vec<usize>, usize), Short> {
        let count = self.wanted(at, rows, events).map_err(|()| Short::More)?;
        let hand = |positions: &mut dyn Iterator<Item = usize>| -> Result<Vec<usize>, Short> {
            positions.map(|p| self.index(p).ok_or(Short::More)).collect()
        };
        let have = self.total;
        if self.take == Take::Whole {
            if have == 0 {
                return Err(Short::Starved);
            }
            return Ok((hand(&mut (0..have.min(self.files.len() + 1)))?, at));
        }
        if count == 0 {
            return Ok((Vec::new(), at));
        }
        match self.reuse {
            _ if at.saturating_add(count) <= have => Ok((hand(&mut (at..at + count))?, at + count)),
            Reuse::Restart if count <= have => Ok((hand(&mut (0..count))?, count)),
            // Too few even from the start: all of them, rather than no job ever.
            Reuse::Restart if have > 0 => Ok((hand(&mut (0..have))?, have)),
            Reuse::Wrap if have > 0 => {
                let (count, at) = (count.min(have), at % have);
                Ok((hand(&mut (at..at + count).map(|i| i % have))?, (at + count) % have))
            }
            Reuse::Never | Reuse::Restart | Reuse::Wrap => Err(Short::Starved),
        }
    }
}

/// Why a job does not get its files.
pub(super) enum Short {
    /// The set is used up.
    Starved,
    /// They are not in hand.
    More,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a million")]
fn rounded(ratio: f64, n: f64) -> usize {
    (ratio.max(0.0) * n).round().min(1e6) as usize
}

/// For each secondary input, the indices of its files that go into a job.
type Picks = Vec<Vec<usize>>;

/// Picks the files of each secondary input for one job, and where each stands afterwards; otherwise which one has too few.
pub(super) fn pick_all(all: &[Secondary], next: &[usize], rows: usize, events: i64) -> Result<(Picks, Vec<usize>), Stop> {
    let mut picks = Vec::with_capacity(all.len());
    let mut moved = Vec::with_capacity(all.len());
    for (i, (s, at)) in all.iter().zip(next).enumerate() {
        let (pick, to) = s.pick(*at, rows, events).map_err(|short| match short {
            Short::Starved => Stop::Starved(i),
            Short::More => Stop::More(i),
        })?;
        picks.push(pick);
        moved.push(to);
    }
    Ok((picks, moved))
}
