//! What the state of a task says: why it is there, and what comes next. Every state has its sentences.

use panda_core::{
    job::{state::JobState, timers::span},
    setting::{Values, scout, task_timer},
    task::state::TaskState::{
        self, Aborted, Aborting, Assigning, Broken, Defined, Done, Exhausted, Failed, Finished, Finishing, Merging, Passed, Paused,
        Pending, Prepared, Preprocessing, Ready, Reassigning, Registered, Rerefine, Rescued, Running, Scouted, Scouting, Staging,
        Throttled, Toabort, Tobroken, Toincexec, Topreprocess, Toreassign, Toretry, Waiting,
    },
};
use panda_store::query::task::{TaskRow, dataset::TaskDataset};

use crate::clock;

/// Why, and what would free it.
type Said = (Vec<String>, Vec<String>);

/// What the engine does by itself at once.
const AT_ONCE: &str = "the engine does it within seconds; if this lasts, no engine is running (`panda doctor`)";

fn said(because: impl Into<String>, frees: impl Into<String>) -> Said {
    (vec![because.into()], vec![frees.into()])
}

/// Input files that count for the end of a task.
struct Files {
    all: i64,
    used: i64,
    finished: i64,
    failed: i64,
}

/// What the row, the counters, the numbers of jobs by state and the settings say.
pub(super) fn by_state(t: &TaskRow, datasets: &[TaskDataset], counts: &[(String, i64)], settings: &Values) -> (Vec<String>, Vec<String>) {
    let sum = |of: fn(&TaskDataset) -> i64| datasets.iter().filter(|d| d.is_master).map(of).sum::<i64>();
    let files = Files { all: sum(|d| d.n_files), used: sum(|d| d.n_used), finished: sum(|d| d.n_finished), failed: sum(|d| d.n_failed) };
    let live = |word: &str| JobState::parse(word).is_ok_and(|s| JobState::LIVE.contains(&s));
    let left = counts.iter().filter(|(state, _)| live(state)).map(|(_, n)| n).sum::<i64>();
    let (because, frees) = match t.state {
        Waiting | Registered | Rerefine | Staging | Defined | Assigning | Topreprocess | Preprocessing => before_jobs(t),
        Ready | Scouting | Scouted | Running | Merging | Prepared => with_jobs(t, &files, counts.is_empty(), left, settings),
        Pending | Paused | Throttled | Exhausted | Rescued => held(t, &files, settings),
        Toretry | Toincexec | Toreassign | Reassigning | Aborting | Finishing => commanded(t.state, left),
        Toabort | Passed | Tobroken | Done | Finished | Failed | Aborted | Broken => ending(t, &files),
    };
    (t.reason.iter().cloned().chain(because).collect(), frees)
}

fn before_jobs(t: &TaskRow) -> Said {
    let id = t.id;
    match t.state {
        Staging => said(
            "its input files are being brought from tape to disk",
            format!("it goes on when they are there; `panda resume task/{id}` does not wait for them"),
        ),
        Defined => said("its input files are being listed", "jobs are made as soon as the first of them are listed"),
        Assigning => said("a storage endpoint for its outputs, its nucleus, is to be chosen", AT_ONCE),
        Topreprocess => said("a preparation job is to be made", "the end of that job; then its inputs are read"),
        Preprocessing => said("its preparation job is under way", "the end of that job; then its inputs are read"),
        Rerefine => said("its parameters and inputs are to be read anew", AT_ONCE),
        _ => said(
            "its parameters are not read yet",
            "the engine reads them within seconds; if this lasts, no engine is running (`panda doctor`)",
        ),
    }
}

fn with_jobs(t: &TaskRow, files: &Files, no_jobs: bool, left: i64, settings: &Values) -> Said {
    let Files { all, used, finished, failed } = files;
    let progress = format!("{finished} of {all} input files are done, {failed} failed for good, {} wait for a job", (all - used).max(0));
    match t.state {
        Scouting => {
            let percent = settings.int(&scout::EARLY_PERCENT, &t.vo, &t.label);
            let name = scout::EARLY_PERCENT.name;
            let because =
                "its first jobs, the scouts, are under way; what they use sets memory, time and disk of the others, which wait for them";
            let frees = format!(
                "the rest is made when {percent}% of the scouts' files are finished (setting {name}) or all scouts have ended; `task/avalanche` makes it at once"
            );
            (vec![progress, because.into()], vec![frees])
        }
        Merging => {
            (vec![progress, "outputs of its jobs are being merged".into()], vec![format!("the end of its {left} jobs that have not ended")])
        }
        Prepared => (vec![progress, "all its files are settled and its final state is to be decided".into()], vec![AT_ONCE.into()]),
        Scouted => (vec![progress, "its first jobs told what jobs need".into()], vec!["jobs for the rest are made next".into()]),
        _ if no_jobs => (vec![progress], vec!["jobs are made next; the decision records say what holds them back".into()]),
        _ => (vec![progress], vec![]),
    }
}

fn held(t: &TaskRow, files: &Files, settings: &Values) -> Said {
    let id = t.id;
    let int = |s| settings.int(s, &t.vo, &t.label);
    match t.state {
        Pending => (vec![], vec![format!("it is looked at again from time to time; `panda retry task/{id}` asks at once")]),
        Paused => said(
            "it is paused: no job is made or handed out, running ones go on",
            format!("`panda resume task/{id}`, or `resume` of the API"),
        ),
        Throttled => throttled(t, files, settings),
        Exhausted => {
            let mut frees = vec![format!("`panda retry task/{id}` after a look at what went wrong, or `panda kill task/{id}`")];
            let s = int(&task_timer::EXHAUSTED_S);
            if s > 0 {
                let at = clock::text(t.state_us.saturating_add(s.saturating_mul(1_000_000)));
                let name = task_timer::EXHAUSTED_S.name;
                frees.push(format!("it is finished with what it has at {at} (setting {name}), unless it has `disableAutoFinish`"));
            }
            (vec!["it stopped for a person to look at".into()], frees)
        }
        _ => said("this state is of an older program; nothing enters or leaves it", format!("`panda kill task/{id}`")),
    }
}

/// A task whose files keep failing rests, longer each time (`spec/engine.md` sections 4.4 and 20.9).
fn throttled(t: &TaskRow, files: &Files, settings: &Values) -> Said {
    let int = |s| settings.int(s, &t.vo, &t.label);
    let (n, step, rest) = (t.n_throttled.max(1), int(&task_timer::THROTTLE_STEP), int(&task_timer::THROTTLED_S).max(1));
    let ends = t.state_us.saturating_add(rest.saturating_mul(n.saturating_mul(n)).saturating_mul(1_000_000));
    let because = format!(
        "no job is made for now, those that are there go on: throttle {n}, one for every {step} failures of its unfinished input files on average \
         (setting {}); {} of {} input files are done, {} failed for good",
        task_timer::THROTTLE_STEP.name,
        files.finished,
        files.all,
        files.failed
    );
    let name = task_timer::THROTTLED_S.name;
    let frees =
        format!("it goes on by itself at {}, {} times {n} squared after it was throttled (setting {name})", clock::text(ends), span(rest));
    (vec![because], vec![frees, format!("`panda resume task/{}` goes on at once", t.id)])
}

fn commanded(state: TaskState, left: i64) -> Said {
    let ends = format!("the end of its {left} jobs that have not ended; pilots hear of it when they report");
    match state {
        Toretry => said("a retry is under way: its failed files get more attempts", AT_ONCE),
        Toincexec => said("its input is to be read anew", AT_ONCE),
        Toreassign => said("it is to be moved elsewhere", AT_ONCE),
        Reassigning => said("it is being moved elsewhere: its jobs at the old place are being ended", ends),
        Finishing => said("it is being finished early: its jobs are being ended", ends),
        _ => said("it is being killed: its jobs are being ended", ends),
    }
}

fn ending(t: &TaskRow, files: &Files) -> Said {
    let id = t.id;
    let Files { all, finished, failed, .. } = files;
    let mut frees = Vec::new();
    if matches!(t.state, Finished | Failed) && *failed > 0 {
        frees.push(format!("`panda retry task/{id}` tries the {failed} failed files again"));
    }
    match t.state {
        Toabort => said("it was killed and its end is being booked", AT_ONCE),
        Passed => said("it was finished early and its end is being booked", AT_ONCE),
        Tobroken => said("it cannot go on and its end is being booked", AT_ONCE),
        Broken => said("it could not go on: waiting would not mend that", "submit it again with mended parameters"),
        Done => (vec![format!("all {all} input files ended well")], frees),
        Failed => (vec![format!("no input file ended well, {failed} of {all} failed for good")], frees),
        Aborted => said(
            format!("it was killed; {finished} of {all} input files ended well before"),
            "`task/reload_input` takes it up again, or submit it again",
        ),
        _ => (vec![format!("{finished} of {all} input files ended well, {failed} failed for good")], frees),
    }
}
