//! What time does to jobs and tasks, on the virtual clock: each line of the tables just at its limit and just after it (`spec/engine.md`
//! sections 4.4, 5.9, 13.1, 20.2 and 20.9).

use panda_core::{
    id::{JobId, TaskId},
    job::{record::JobKind, state::JobState},
    machine::Actor,
    task::state::TaskState,
};
use panda_engine::loops::{self, LoopKind};
use panda_ops::{queue::LaneOf, setting, task};
use panda_store::{
    Batch, IdKind,
    query::{
        job::{self, JobRow},
        task::{TaskRow, transition},
    },
};
use serde_json::json;

use crate::world::{World, alice, prun, with_input, with_output};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

async fn watch(w: &World) {
    w.tick();
    while loops::step(LoopKind::Watch, &w.ops, w.ops.now()).await.unwrap().more {}
}
async fn set(w: &World, name: &str, value: &str) {
    setting::set(&w.ops, &crate::world::operator(), name, "", "", value).await.unwrap();
}

/// A job of this label and kind, brought into a state by those who may.
async fn job_in(w: &World, label: &str, kind: JobKind, task: Option<TaskId>, state: JobState, priority: i64) -> JobId {
    use JobState::{Activated, Assigned, Defined, Holding, Merging, Pending, Running, Sent, Starting, Throttled, Transferring, Waiting};
    let queue = w.ops.queue("LOCAL").await.unwrap().unwrap().id;
    let lane = w.ops.lane(&LaneOf { queue, vo: "amber", label, share: "default", resource_type: "SCORE", ram_mb: 0 }).await.unwrap();
    let now = w.ops.now().0;
    let path: &[JobState] = match state {
        Pending => &[Pending],
        Defined => &[Defined],
        Assigned => &[Defined, Assigned],
        Waiting => &[Defined, Waiting],
        Activated => &[Activated],
        Throttled => &[Activated, Throttled],
        Sent => &[Activated, Sent],
        Starting => &[Activated, Sent, Starting],
        Running => &[Activated, Sent, Running],
        Transferring => &[Activated, Sent, Running, Transferring],
        Holding => &[Activated, Sent, Running, Holding],
        Merging => &[Activated, Sent, Running, Holding, Merging],
        other => panic!("{other} is an end"),
    };
    let mut j = JobRow {
        task_id: task,
        state: path[0],
        kind,
        queue_id: Some(queue),
        lane_id: Some(lane),
        neg_priority: -priority,
        label: label.into(),
        ..panda_store::testing::job_row(JobId(w.ops.store.id(IdKind::Job).await.unwrap()), w.ops.person(&alice()).await.unwrap().id, now)
    };
    let mut batch = Batch::new();
    job::transition::add(&mut batch, &j, 0, "{}", Actor::Engine).unwrap();
    w.ops.store.apply(batch).await.unwrap();
    for to in &path[1..] {
        let actor = match to {
            Sent | Starting | Running | Transferring | Holding => Actor::Pilot,
            Merging => Actor::Finisher,
            _ => Actor::Engine,
        };
        let mut batch = Batch::new();
        let after = JobRow { state: *to, ..j.clone() };
        job::transition::move_to(&mut batch, &j, &after, actor, now, None).unwrap();
        w.ops.store.apply(batch).await.unwrap();
        j = JobRow { rev: j.rev + 1, ..after };
    }
    j.id
}
async fn row(w: &World, id: JobId) -> JobRow {
    job::list::get(&w.ops.store, id).await.unwrap().unwrap()
}

/// 13.1, 20.2: every state with its limit; what ended says why, and which setting rules it.
async fn a_job_that_stays_too_long_ends_at_its_limit(w: &World) {
    use JobKind::{Build, Merge, Run, Standalone};
    use JobState::{
        Activated, Assigned, Closed, Defined, Failed, Holding, Merging, Pending, Running, Sent, Starting, Throttled, Transferring, Waiting,
    };
    let t = Some(w.submit(with_input(prun("user.alice.never", 1), "user.bob:user.bob.none/", 1)).await);
    set(w, "task.pending_give_up_s", "0").await;
    // Not what is looked at here.
    set(w, "job.queue_idle_s", "100000000").await;
    panda_ops::pilot::seen::started(&w.ops, w.ops.queue("LOCAL").await.unwrap().unwrap().id).await.unwrap();
    let cases = [
        ("user", Run, t, Running, 500, 2 * HOUR, Failed, "job.heartbeat_s"),
        ("managed", Run, t, Starting, 500, 2 * HOUR, Failed, "job.heartbeat_s"),
        ("user", Run, t, Sent, 500, HOUR / 2, Failed, "job.sent_s"),
        ("user", Run, t, Transferring, 500, 2 * HOUR, Failed, "job.transferring_s"),
        ("user", Run, t, Holding, 500, 3 * HOUR, Failed, "job.holding_s"),
        ("managed", Run, t, Holding, 801, 3 * HOUR, Failed, "job.holding_s"),
        ("managed", Run, t, Holding, 800, 48 * HOUR, Failed, "job.holding_rest_s"),
        ("user", Run, t, Pending, 500, HOUR, Closed, "job.pending_s"),
        ("user", Run, t, Waiting, 500, HOUR, Closed, "job.waiting_s"),
        ("managed", Run, t, Defined, 500, 4 * HOUR, Closed, "job.defined_s"),
        ("panda", Build, t, Defined, 500, 4 * HOUR, Closed, "job.defined_s"),
        ("user", Standalone, None, Defined, 500, 4 * HOUR, Closed, "job.defined_s"),
        ("managed", Run, t, Assigned, 500, 12 * HOUR, Closed, "job.before_activation_s"),
        ("managed", Run, t, Activated, 500, 2 * DAY, Closed, "job.activated_s"),
        ("user", Run, t, Activated, 500, 7 * DAY, Closed, "job.queued_s"),
        ("user", Run, t, Throttled, 500, 7 * DAY, Closed, "job.throttled_s"),
        ("user", Merge, t, Activated, 500, HOUR / 2, Closed, "job.merge_check_s"),
        ("test", Run, t, Merging, 500, 7 * DAY, Closed, "job.idle_s"),
        ("managed", Run, t, Merging, 500, 21 * DAY, Closed, "job.total_s"),
    ];
    for (label, kind, task, state, priority, limit, end, setting) in cases {
        let what = format!("{label} {kind} {state}");
        let id = job_in(w, label, kind, task, state, priority).await;
        let start = w.ops.now().0;
        w.pass(limit - 1);
        watch(w).await;
        assert_eq!(row(w, id).await.state, state, "{what} a moment before {limit} s");
        // States with long limits are read every ten minutes only.
        w.pass(601);
        watch(w).await;
        let j = row(w, id).await;
        let expected = if kind == Merge { JobState::Cancelled } else { end };
        assert_eq!(j.state, expected, "{what} after {limit} s: {:?}", j.diag);
        assert!(j.ended_us.is_some_and(|at| at > start), "{what}");
        let events = job::list::events(&w.ops.store, id).await.unwrap();
        let last = events.last().unwrap();
        assert_eq!(last.actor, Actor::Watcher.as_str(), "{what}");
        let why = last.reason.clone().unwrap_or_default();
        assert!(why.contains(&format!("(setting {setting})")), "{what}: {why}");
        // Nothing happens to it a second time.
        watch(w).await;
        assert_eq!(row(w, id).await.rev, j.rev, "{what}");
    }
}

/// Limits are settings: for a VO and a label, and off with 0. A sign of life counts.
async fn limits_are_by_label_and_signs_of_life_count(w: &World) {
    setting::set(&w.ops, &crate::world::operator(), "job.heartbeat_s", "amber", "user", "600").await.unwrap();
    setting::set(&w.ops, &crate::world::operator(), "job.heartbeat_s", "amber", "managed", "0").await.unwrap();
    let id = w.submit(prun("user.alice.t", 2)).await;
    w.settle().await;
    let (silent, heard) = (w.job().await.unwrap(), w.job().await.unwrap());
    let production = job_in(w, "managed", JobKind::Run, Some(id), JobState::Running, 500).await;
    let running = panda_core::job::report::Reported::Running;
    w.report(&silent, running, |_| {}).await;
    w.report(&heard, running, |_| {}).await;
    w.pass(590);
    w.report(&heard, running, |_| {}).await;
    watch(w).await;
    let state = async |j: &serde_json::Value| row(w, JobId(j["PandaID"].as_i64().unwrap())).await.state;
    assert_eq!((state(&silent).await, state(&heard).await), (JobState::Running, JobState::Running));
    w.pass(20);
    watch(w).await;
    assert_eq!((state(&silent).await, state(&heard).await), (JobState::Failed, JobState::Running));
    w.pass(30 * HOUR);
    watch(w).await;
    assert_eq!(row(w, production).await.state, JobState::Running, "off for this label");
    assert_eq!(task::recount::differences(&w.ops, id).await.unwrap(), Vec::<String>::new());
}

/// Many at once: in bounded batches, and those that somebody else ended meanwhile are left alone.
async fn many_overdue_jobs_end_in_bounded_batches(w: &World) {
    let id = w.submit(with_input(prun("user.alice.never", 1), "user.bob:user.bob.none/", 1)).await;
    let mut jobs = Vec::new();
    for _ in 0..130 {
        jobs.push(job_in(w, "user", JobKind::Run, Some(id), JobState::Sent, 500).await);
    }
    w.pass(HOUR);
    panda_ops::job::kill::kill(&w.ops, &alice(), &jobs[..1], None, panda_ops::job::kill::Options::default()).await.unwrap();
    watch(w).await;
    assert_eq!(row(w, jobs[0]).await.state, JobState::Cancelled);
    for id in &jobs[1..] {
        assert_eq!(row(w, *id).await.state, JobState::Failed);
    }
}

/// A task brought into a state by its table, behind the commands' back.
async fn force(w: &World, id: TaskId, change: impl FnOnce(&mut TaskRow), actor: Actor) {
    let before = w.task(id).await;
    let mut after = before.clone();
    change(&mut after);
    let mut batch = Batch::new();
    transition::move_to(&mut batch, &before, &after, actor, w.ops.now().0, None).unwrap();
    w.ops.store.apply(batch).await.unwrap();
}

/// 4.4, 20.9: looked at again after a minute and then a tenth of the time on hold, at most an hour; given up after 7 days.
async fn a_task_on_hold_is_looked_at_and_given_up(w: &World) {
    let id = w.submit_too_big("user.alice.big", 9_000).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Pending);
    let since = w.task(id).await.frozen_us.unwrap();
    w.pass(59);
    watch(w).await;
    assert_eq!(w.task(id).await.state, TaskState::Pending);
    w.pass(2);
    watch(w).await;
    assert_eq!(w.task(id).await.state, TaskState::Ready);
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!((t.state, t.frozen_us), (TaskState::Pending, Some(since)), "looks that come to nothing do not begin anew");
    w.pass(7 * DAY - 61 - 60);
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Pending);
    w.pass(180);
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Aborted);
    assert!(t.reason.as_deref().unwrap().contains("task.pending_give_up_s"), "{:?}", t.reason);
}

/// 4.4, 20.9: an exhausted task ends after 48 hours, unless it has DF.
async fn an_exhausted_task_ends_by_itself(w: &World) {
    let mut ids = Vec::new();
    for (name, own) in [("user.alice.a", false), ("user.alice.b", true)] {
        let mut params = prun(name, 1);
        if own {
            params["disableAutoFinish"] = json!(true);
        }
        let id = w.submit(params).await;
        w.settle().await;
        let job = w.job().await.unwrap();
        w.finish(&job, "x").await;
        w.settle_without(&[LoopKind::Close]).await;
        force(w, id, |t| t.state = TaskState::Prepared, Actor::Finisher).await;
        force(w, id, |t| t.state = TaskState::Exhausted, Actor::Finisher).await;
        ids.push(id);
    }
    w.pass(48 * HOUR - 10);
    watch(w).await;
    assert_eq!(w.task(ids[0]).await.state, TaskState::Exhausted);
    w.pass(11);
    watch(w).await;
    assert_eq!((w.task(ids[0]).await.state, w.task(ids[1]).await.state), (TaskState::Finishing, TaskState::Exhausted));
    w.settle().await;
    assert_eq!((w.task(ids[0]).await.state, w.task(ids[1]).await.state), (TaskState::Done, TaskState::Exhausted));
}

/// 4.4, 20.9: a throttled task rests 2 hours times the square of how often.
async fn a_throttled_task_rests_longer_each_time(w: &World) {
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    for (n, hours) in [(1, 2), (2, 8)] {
        force(w, id, |t| (t.state, t.prev_state, t.n_throttled) = (TaskState::Throttled, Some(TaskState::Running), n), Actor::Watcher)
            .await;
        w.pass(hours * HOUR - 10);
        watch(w).await;
        assert_eq!(w.task(id).await.state, TaskState::Throttled);
        w.pass(11);
        watch(w).await;
        assert_eq!(w.task(id).await.state, TaskState::Running);
    }
}

/// 4.4, 20.9: the goal is looked for every ten minutes; reached, the task is finished softly.
async fn a_reached_goal_finishes_softly(w: &World) {
    let mut params = with_output(prun("user.alice.t", 4), "out.txt");
    params["goal"] = json!(50);
    let id = w.submit(params).await;
    w.settle().await;
    let jobs = [w.job().await.unwrap(), w.job().await.unwrap(), w.job().await.unwrap()];
    w.finish(&jobs[0], "x").await;
    w.report(&jobs[2], panda_core::job::report::Reported::Running, |_| {}).await;
    w.pass(700);
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Running, "a quarter is not half");
    w.finish(&jobs[1], "x").await;
    w.settle().await;
    w.pass(700);
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finishing);
    assert!(w.job().await.is_none(), "what waits is ended");
    w.finish(&jobs[2], "x").await;
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!((t.state, w.counters(id).await[0].3), (TaskState::Finished, 3));
    assert!(t.reason.as_deref().unwrap().contains("its goal of 50 percent is reached"), "{:?}", t.reason);
}

/// 20.9: a failure rate pauses a task where a site says so, not one with NP.
async fn a_failure_rate_pauses_a_task(w: &World) {
    set(w, "task.pause_failed_percent", "40").await;
    set(w, "task.pause_min_jobs", "2").await;
    set(w, "task.pause_min_left", "1").await;
    let id = w.submit(prun("user.alice.t", 3)).await;
    w.settle().await;
    for good in [true, false] {
        let job = w.job().await.unwrap();
        if good { w.finish(&job, "x").await } else { w.fail(&job, 3).await }
    }
    w.settle().await;
    w.pass(700);
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!((t.state, t.prev_state), (TaskState::Paused, Some(TaskState::Running)));
    assert!(t.reason.as_deref().unwrap().contains("task.pause_failed_percent"), "{:?}", t.reason);
    assert!(w.job().await.is_none(), "its jobs are throttled");
    // A task's own rate goes before the site's.
    for (rate, state) in [(50, TaskState::Running), (49, TaskState::Paused)] {
        let mut params = prun(&format!("user.alice.own{rate}"), 3);
        params["failureRate"] = json!(rate);
        let id = w.submit(params).await;
        w.settle().await;
        for good in [true, false] {
            let job = w.job().await.unwrap();
            if good { w.finish(&job, "x").await } else { w.fail(&job, 3).await }
        }
        w.settle().await;
        w.pass(700);
        w.settle().await;
        assert_eq!(w.task(id).await.state, state, "{rate}");
        task::command::kill(&w.ops, &alice(), id).await.unwrap();
        w.settle().await;
    }
}

/// 20.9: near its end a task gets a higher priority, once.
async fn near_its_end_a_task_gets_priority(w: &World) {
    set(w, "task.boost_percent", "50").await;
    let mut params = prun("user.alice.t", 2);
    params["taskPriority"] = json!(300);
    let id = w.submit(params).await;
    w.settle().await;
    let before = w.task(id).await.priority;
    assert!(before < 900);
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    w.pass(700);
    w.settle().await;
    assert_eq!(w.task(id).await.priority, 900);
}

/// 4.4, 5.6: who waits for a parent that ended badly ends with it; a crash between the two is mended.
async fn a_parents_bad_end_ends_its_children(w: &World) {
    let parent = w.submit(prun("user.alice.p", 1)).await;
    let child = task::submit::submit(&w.ops, &alice(), prun("user.alice.c", 1), Some(parent.0)).await.unwrap().task_id;
    let mut free = prun("user.alice.f", 1);
    free["noWaitParent"] = json!(true);
    let free = task::submit::submit(&w.ops, &alice(), free, Some(parent.0)).await.unwrap().task_id;
    w.settle().await;
    force(w, parent, |t| t.state = TaskState::Toabort, Actor::Watcher).await;
    force(w, parent, |t| t.state = TaskState::Aborted, Actor::Finisher).await;
    watch(w).await;
    assert_eq!(w.task(child).await.state, TaskState::Aborting);
    w.settle().await;
    let t = w.task(child).await;
    assert_eq!((t.state, w.task(free).await.state), (TaskState::Aborted, TaskState::Running));
    assert!(t.reason.as_deref().unwrap().contains("parent"), "{:?}", t.reason);
}

/// 4.4, 20.9: a task in the middle of a command that nobody carries out gets the command again after ten minutes.
async fn a_lost_command_is_given_again(w: &World) {
    let id = w.submit(prun("user.alice.t", 2)).await;
    w.settle().await;
    task::command::kill(&w.ops, &alice(), id).await.unwrap();
    let lost = transition::commands(&w.ops.store, TaskId(0), 10).await.unwrap().remove(0);
    let mut batch = Batch::new();
    transition::command_done(&mut batch, &lost);
    w.ops.store.apply(batch).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Aborting, "nobody carries it out");
    w.pass(601);
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Aborted);
}

cases!(
    a_job_that_stays_too_long_ends_at_its_limit,
    limits_are_by_label_and_signs_of_life_count,
    many_overdue_jobs_end_in_bounded_batches,
    a_task_on_hold_is_looked_at_and_given_up,
    an_exhausted_task_ends_by_itself,
    a_throttled_task_rests_longer_each_time,
    a_reached_goal_finishes_softly,
    a_failure_rate_pauses_a_task,
    near_its_end_a_task_gets_priority,
    a_parents_bad_end_ends_its_children,
    a_lost_command_is_given_again,
);
