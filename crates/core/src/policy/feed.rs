//! Feeding: which files of an input become rows of a task, and how a file is cut into rows of events (`spec/engine.md` section 5.3).
//!
//! A [`Feed`] is where the listing of one input stands; it is a few numbers that are stored between pages as text, so that feeding goes on after
//! a crash where it stood. It must not know names, pages or rows of the database.

use super::split::ceil_div;

/// How a file is cut into rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cut {
    /// A file is a row.
    #[default]
    No,
    /// Rows of so many events; what is left of a file goes on in the next one (`nEventsPerJob` without `nFilesPerJob`).
    Every(i64),
    /// Equal parts of about so many events within each file (`tgtNumEventsPerJob`).
    Target(i64),
}

/// What a task says of an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Files left out at the beginning.
    pub offset: i64,
    /// Most files.
    pub n_files: Option<i64>,
    /// No further file when the events of those taken are so many; the last row is cut there.
    pub n_events: Option<i64>,
    /// Events of each file, whatever the catalogue says (`nEventsPerFile`, `nEventsPerInputFile`).
    pub events_per_file: Option<i64>,
    /// How files are cut.
    pub cut: Cut,
    /// A file is cut down to a multiple of [`Cut::Every`] (`skipShortInput`).
    pub skip_short: bool,
    /// What is left of a file does not go on in a file of another lumiblock (RL).
    pub respect_lumiblock: bool,
}

/// A file of an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct File {
    /// Events, if the catalogue knows.
    pub events: Option<i64>,
    /// Lumiblock.
    pub lumiblock: Option<i64>,
}

/// A row to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Events.
    pub events: Option<i64>,
    /// First and last event within the file, when it is cut.
    pub range: Option<(i64, i64)>,
    /// Events of all rows before it, if all are known.
    pub number: Option<i64>,
}

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is left out.
    Skipped,
    /// The task has enough: no further file is taken.
    Full,
    /// It cannot be cut: nobody knows its events.
    Uncounted,
    /// These rows; `done` is false when the file has more and is to be given again.
    Rows {
        /// The rows.
        parts: Vec<Part>,
        /// Whether the file is used up.
        done: bool,
    },
}

/// Where the listing of an input stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feed {
    /// Files left out by the offset.
    pub skipped: i64,
    /// Files taken.
    pub files: i64,
    /// Rows made.
    pub rows: i64,
    /// Events of the rows.
    pub events: i64,
    /// Events of the last job so far, when files are cut.
    carry: i64,
    /// Lumiblock of the last file, when lumiblocks are kept apart.
    lumiblock: Option<i64>,
    /// Events of the present file that have rows; 0 between files.
    at: i64,
    /// Whether a file without a number of events was taken.
    uncounted: bool,
}

impl Feed {
    /// Whether a file has been cut in part and is to be given again.
    #[must_use]
    pub const fn within(&self) -> bool {
        self.at > 0
    }
    /// Takes a file; at most `room` rows.
    pub fn take(&mut self, rules: &Rules, file: &File, room: usize) -> Taken {
        let events = rules.events_per_file.or(file.events);
        if self.at == 0 {
            if self.skipped < rules.offset {
                self.skipped += 1;
                return Taken::Skipped;
            }
            if rules.n_files.is_some_and(|n| self.files >= n) || rules.n_events.is_some_and(|n| self.events >= n) {
                return Taken::Full;
            }
        }
        let (size, usable) = match (rules.cut, events) {
            (Cut::No, _) => return self.whole(events),
            (Cut::Every(_) | Cut::Target(_), None) => return Taken::Uncounted,
            (Cut::Every(n), Some(events)) if rules.skip_short => (n.max(1), events - events % n.max(1)),
            (Cut::Every(n), Some(events)) => (n.max(1), events),
            (Cut::Target(n), Some(events)) => (equal_part(events, n), events),
        };
        if usable <= 0 {
            return Taken::Skipped;
        }
        if self.at == 0 {
            self.files += 1;
            if matches!(rules.cut, Cut::Target(_)) || (rules.respect_lumiblock && self.lumiblock != file.lumiblock) {
                self.carry = 0;
            }
            self.lumiblock = file.lumiblock.filter(|_| rules.respect_lumiblock);
        }
        self.pieces(rules, size, usable, room)
    }
    fn whole(&mut self, events: Option<i64>) -> Taken {
        let number = (!self.uncounted).then_some(self.events);
        self.uncounted |= events.is_none();
        self.files += 1;
        self.rows += 1;
        self.events = self.events.saturating_add(events.unwrap_or(0));
        Taken::Rows { parts: vec![Part { events, range: None, number }], done: true }
    }
    fn pieces(&mut self, rules: &Rules, size: i64, usable: i64, room: usize) -> Taken {
        let mut parts = Vec::new();
        let enough = |events: i64| rules.n_events.is_some_and(|n| events >= n);
        while self.at < usable && parts.len() < room && !enough(self.events) {
            let most = rules.n_events.map_or(i64::MAX, |n| n - self.events);
            let n = (size - self.carry).min(usable - self.at).min(most);
            parts.push(Part { events: Some(n), range: Some((self.at, self.at + n - 1)), number: Some(self.events) });
            self.at += n;
            self.rows += 1;
            self.events = self.events.saturating_add(n);
            self.carry = (self.carry + n) % size;
        }
        let done = self.at >= usable || enough(self.events);
        if done {
            self.at = 0;
        }
        Taken::Rows { parts, done }
    }
    /// As text of at most 200 characters, to be stored.
    #[must_use]
    pub fn text(&self) -> String {
        let lumiblock = self.lumiblock.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let Self { skipped, files, rows, events, carry, at, .. } = self;
        format!("1 {skipped} {files} {rows} {events} {carry} {lumiblock} {at} {}", i64::from(self.uncounted))
    }
    /// Reads [`Self::text`]; `None` for a text of another program.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let ["1", skipped, files, rows, events, carry, lumiblock, at, uncounted] = words[..] else { return None };
        let n = |word: &str| word.parse::<i64>().ok();
        Some(Self {
            skipped: n(skipped)?,
            files: n(files)?,
            rows: n(rows)?,
            events: n(events)?,
            carry: n(carry)?,
            lumiblock: if lumiblock == "-" { None } else { Some(n(lumiblock)?) },
            at: n(at)?,
            uncounted: n(uncounted)? != 0,
        })
    }
}

/// `ceil(events / ceil(events / target))`: equal parts of at most the target.
const fn equal_part(events: i64, target: i64) -> i64 {
    let parts = ceil_div(events, target);
    ceil_div(events, if parts < 1 { 1 } else { parts })
}

/// How the files of an input are ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By data set as listed, then by name.
    #[default]
    Name,
    /// First those whose events are a multiple of so many (OI `eventsAlignment`).
    Aligned(i64),
    /// By lumiblock (OL), those without one last.
    Lumiblock,
    /// At random, always the same way for one seed (attribute `random`).
    Shuffled(u64),
}

impl Order {
    /// Files with smaller keys come first, those of one key in the order they are listed in.
    #[must_use]
    pub fn key(self, place: u64, file: &File, events_per_file: Option<i64>) -> u64 {
        match self {
            Self::Name => 0,
            Self::Aligned(n) => {
                let aligned = events_per_file.or(file.events).is_some_and(|events| n > 0 && events % n == 0);
                u64::from(!aligned)
            }
            Self::Lumiblock => file.lumiblock.and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX),
            Self::Shuffled(seed) => mixed(seed ^ mixed(place)),
        }
    }
}

/// A number that looks random and is the same for the same input (the finishing step of SplitMix64).
#[must_use]
pub const fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every row of these files: (file, first event, last event).
    fn rows(rules: &Rules, files: &[File], room: usize) -> Vec<(usize, i64, i64)> {
        let mut feed = Feed::default();
        let mut out = Vec::new();
        'files: for (i, file) in files.iter().enumerate() {
            loop {
                // Stored and read again at each step, as after a crash.
                feed = Feed::parse(&feed.text()).unwrap();
                match feed.take(rules, file, room) {
                    Taken::Rows { parts, done } => {
                        out.extend(parts.iter().map(|p| p.range.map_or((i, 0, p.events.unwrap_or(0) - 1), |(a, b)| (i, a, b))));
                        assert_eq!(done, !feed.within());
                        if done {
                            break;
                        }
                    }
                    Taken::Skipped => break,
                    Taken::Full => break 'files,
                    Taken::Uncounted => panic!("uncounted"),
                }
            }
        }
        out
    }
    fn files(events: &[i64]) -> Vec<File> {
        events.iter().map(|n| File { events: Some(*n), lumiblock: None }).collect()
    }

    #[test]
    fn what_is_left_of_a_file_goes_on_in_the_next() {
        // 5.3 "Event split".
        let rules = Rules { cut: Cut::Every(30), ..Rules::default() };
        assert_eq!(rows(&rules, &files(&[70, 50]), 99), [(0, 0, 29), (0, 30, 59), (0, 60, 69), (1, 0, 19), (1, 20, 49)]);
        let target = Rules { cut: Cut::Target(30), ..Rules::default() };
        assert_eq!(rows(&target, &files(&[70, 10]), 99), [(0, 0, 23), (0, 24, 47), (0, 48, 69), (1, 0, 9)], "ceil(70 / 3) each");
        let short = Rules { skip_short: true, ..rules };
        assert_eq!(rows(&short, &files(&[70, 20, 30]), 99), [(0, 0, 29), (0, 30, 59), (2, 0, 29)]);
        let lb = |n| File { events: Some(40), lumiblock: Some(n) };
        let respect = Rules { respect_lumiblock: true, ..rules };
        assert_eq!(rows(&respect, &[lb(1), lb(1), lb(2)], 99), [(0, 0, 29), (0, 30, 39), (1, 0, 19), (1, 20, 39), (2, 0, 29), (2, 30, 39)]);
        let some = Rules { n_events: Some(75), ..rules };
        assert_eq!(rows(&some, &files(&[70, 50, 50]), 99).last(), Some(&(1, 0, 4)), "the last row is cut");
    }

    #[test]
    fn offset_and_limits() {
        let all = files(&[10, 10, 10, 10]);
        let n = |rules: Rules| rows(&rules, &all, 9).iter().map(|r| r.0).collect::<Vec<_>>();
        assert_eq!(n(Rules { offset: 1, n_files: Some(2), ..Rules::default() }), [1, 2]);
        assert_eq!(n(Rules { n_events: Some(15), ..Rules::default() }), [0, 1]);
        assert_eq!(n(Rules { n_events: Some(15), events_per_file: Some(5), ..Rules::default() }), [0, 1, 2]);
        assert_eq!(Feed::default().take(&Rules { cut: Cut::Every(5), ..Rules::default() }, &File::default(), 9), Taken::Uncounted);
    }

    #[test]
    fn numbers_of_events() {
        let mut feed = Feed::default();
        let number = |feed: &mut Feed, events| match feed.take(&Rules::default(), &File { events, lumiblock: None }, 1) {
            Taken::Rows { parts, .. } => parts[0].number,
            _ => None,
        };
        assert_eq!([Some(10), Some(5), None, Some(5)].map(|e| number(&mut feed, e)), [Some(0), Some(10), Some(15), None]);
    }

    #[test]
    fn orders() {
        let file = |events, lumiblock| File { events: Some(events), lumiblock };
        let sorted = |order: Order, all: &[File]| {
            let mut places: Vec<usize> = (0..all.len()).collect();
            places.sort_by_key(|i| (order.key(*i as u64, &all[*i], None), *i));
            places
        };
        let all = [file(7, None), file(10, Some(3)), file(20, Some(1)), file(9, Some(3))];
        assert_eq!(sorted(Order::Name, &all), [0, 1, 2, 3]);
        assert_eq!(sorted(Order::Aligned(10), &all), [1, 2, 0, 3]);
        assert_eq!(sorted(Order::Lumiblock, &all), [2, 1, 3, 0]);
        let many = vec![File::default(); 50];
        assert_eq!(sorted(Order::Shuffled(7), &many), sorted(Order::Shuffled(7), &many));
        assert_ne!(sorted(Order::Shuffled(7), &many), sorted(Order::Shuffled(8), &many));
    }

    proptest! {
        #[test]
        fn every_event_is_in_one_row(events in prop::collection::vec(0_i64..300, 0..20), n in 1_i64..80, room in 1_usize..5, target: bool) {
            let rules = Rules { cut: if target { Cut::Target(n) } else { Cut::Every(n) }, ..Rules::default() };
            let found = rows(&rules, &files(&events), room);
            prop_assert_eq!(&found, &rows(&rules, &files(&events), usize::MAX));
            let mut next = vec![0; events.len()];
            let mut job = 0;
            for (file, first, last) in found {
                prop_assert_eq!(first, next[file]);
                prop_assert!(last >= first && last - first < n);
                next[file] = last + 1;
                job += last - first + 1;
                if !target && job >= n {
                    prop_assert_eq!(job, n, "rows end where a job ends");
                    job = 0;
                }
            }
            prop_assert_eq!(next, events);
        }
    }
}
