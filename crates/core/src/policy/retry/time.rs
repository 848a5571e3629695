//! More time for what ran out of it (`spec/engine.md` section 11: `increase_cputime`).

/// What a measured time is multiplied with (`spec/engine.md` section 7.1), in hundredths.
pub const MARGIN_PERCENT: i64 = 150;
/// CPU power of a core that does not say its own, thousandths of HS06 (`spec/engine.md` section 7.1).
pub const CORE_POWER_MILLI: i64 = 10_000;

/// What a job used and had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Seconds from start to end; 0 = not known.
    pub wall_s: i64,
    /// CPU seconds; 0 = not known.
    pub cpu_s: i64,
    /// Events of its inputs; 0 = not known.
    pub events: i64,
    /// Power of a core of its queue, thousandths of HS06; 0 = not known.
    pub core_power_milli: i64,
    /// Wall time that it was granted, seconds; 0 = no limit.
    pub granted_s: i64,
}

/// What the task asks for from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// So many HS06 milliseconds for each event.
    PerEvent(i64),
    /// So many seconds of wall time for each job.
    Wall(i64),
    /// Nothing: it has been raised meanwhile, or nothing is known.
    Already,
    /// It has as much as it may have.
    Top,
}

/// More time. `per_event_ms` is what a task that counts CPU time by event asks for, HS06 milliseconds; `wall_s` what it asks for a job (0 = nothing),
/// `most_s` the most that a job may have (0 = no limit). What was measured counts with a margin; when nothing was, the limit that was hit does.
#[must_use]
pub fn more(used: &Used, per_event_ms: Option<i64>, wall_s: i64, most_s: i64) -> More {
    if let Some(now) = per_event_ms {
        if used.cpu_s <= 0 || used.events <= 0 {
            return More::Already;
        }
        let power = if used.core_power_milli > 0 { used.core_power_milli } else { CORE_POWER_MILLI };
        let to = used.cpu_s.saturating_mul(power).saturating_mul(MARGIN_PERCENT) / used.events / 100;
        return if to > now { More::PerEvent(to) } else { More::Already };
    }
    if used.granted_s > 0 && wall_s > used.granted_s {
        return More::Already;
    }
    let had = used.wall_s.max(used.granted_s);
    if had <= 0 {
        return More::Already;
    }
    let most = if most_s > 0 { most_s } else { i64::MAX };
    let to = (had.saturating_mul(MARGIN_PERCENT) / 100).min(most);
    if to > used.granted_s.max(wall_s) { More::Wall(to) } else { More::Top }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: Used = Used { wall_s: 3_700, cpu_s: 3_000, events: 0, core_power_milli: 0, granted_s: 3_600 };

    #[test]
    fn wall_time_grows_by_half_of_what_was_used() {
        assert_eq!(more(&USED, None, 3_600, 0), More::Wall(5_550));
        assert_eq!(more(&Used { wall_s: 0, ..USED }, None, 3_600, 0), More::Wall(5_400), "nothing measured: the limit that was hit");
        assert_eq!(more(&USED, None, 5_550, 0), More::Already, "another job raised it");
        assert_eq!(more(&USED, None, 3_600, 4_000), More::Wall(4_000));
        assert_eq!(more(&USED, None, 3_600, 3_600), More::Top);
        assert_eq!(more(&Used::default(), None, 0, 0), More::Already);
    }

    #[test]
    fn cpu_time_by_event_is_measured_anew() {
        let used = Used { events: 100, ..USED };
        assert_eq!(more(&used, Some(200_000), 0, 0), More::PerEvent(450_000), "3000 s of 10 HS06 for 100 events, and a half more");
        assert_eq!(more(&Used { core_power_milli: 20_000, ..used }, Some(200_000), 0, 0), More::PerEvent(900_000));
        assert_eq!(more(&used, Some(500_000), 0, 0), More::Already);
        assert_eq!(more(&USED, Some(1), 0, 0), More::Already, "without events nothing can be said");
    }
}
