//! What a retry opens again that an end had closed, its qualifiers, and children (`spec/engine.md` sections 4.3, 5.6 and 5.7).

use panda_core::{file::FileState, id::TaskId, machine::Actor, task::state::TaskState};
use panda_engine::loops::{self, LoopKind};
use panda_ops::{
    share,
    task::{
        command::{self, Retry},
        plan::Adjust,
        submit::submit,
    },
};
use panda_store::{
    Batch,
    query::{
        dataset,
        task::{self, TaskRow, transition},
    },
};
use serde_json::{Value, json};

use crate::world::{World, alice, prod, prun, with_input, with_output};

const DAY: i64 = 86_400;

async fn again(w: &World, id: TaskId, args: &Retry) {
    assert_eq!(command::retry(&w.ops, &alice(), id, args).await.unwrap().code, 0);
    w.settle().await;
}
/// A task of `n` jobs with one attempt each, of which the last fails.
async fn half_done(w: &World, mut params: Value, n: usize) -> TaskId {
    params["maxAttempt"] = json!(1);
    let id = w.submit(params).await;
    w.settle().await;
    for at in 1..=n {
        let job = w.job().await.unwrap();
        if at == n { w.fail(&job, 1).await } else { w.finish(&job, "x").await }
    }
    w.settle().await;
    id
}
async fn finish_the_rest(w: &World, id: TaskId) -> usize {
    let mut n = 0;
    while let Some(job) = w.job().await {
        w.finish(&job, "x").await;
        w.settle().await;
        n += 1;
    }
    assert_eq!(w.task(id).await.state, TaskState::Done);
    n
}
async fn words(w: &World, id: TaskId) -> Vec<String> {
    task::dataset::of_task(&w.ops.store, id).await.unwrap().into_iter().map(|d| d.state).collect()
}
async fn in_catalogue(w: &World, name: &str) -> String {
    dataset::by_name(&w.ops.store, "amber", name).await.unwrap().unwrap().state
}
async fn adjust(w: &World, id: TaskId) -> Adjust {
    let (_, adjust) = task::list::doc(&w.ops.store, id).await.unwrap().unwrap();
    Adjust::parse(adjust.as_deref()).unwrap()
}

/// 5.6: the end closes data sets and gives them their words; a retry takes that back, and so does the next end. One that finds nothing to do
/// changes nothing of the end.
async fn a_retry_opens_what_the_end_closed(w: &World) {
    let id = half_done(w, with_output(prun("user.alice.t", 2), "out.txt"), 2).await;
    let ended = w.task(id).await;
    assert_eq!((ended.state, words(w, id).await), (TaskState::Finished, ["finished", "done", "done"].map(str::to_owned).to_vec()));
    assert_eq!(
        (in_catalogue(w, "user.alice.t_out.txt").await, in_catalogue(w, "user.alice.t.log").await),
        ("closed".into(), "closed".into())
    );
    w.pass(DAY);
    again(w, id, &Retry::default()).await;
    let t = w.task(id).await;
    assert_eq!((t.state, t.ended_us, t.attempt), (TaskState::Running, None, 1));
    assert_eq!(words(w, id).await, ["ready", "defined", "defined"]);
    assert_eq!(in_catalogue(w, "user.alice.t_out.txt").await, "open");
    finish_the_rest(w, id).await;
    assert_eq!((words(w, id).await, in_catalogue(w, "user.alice.t_out.txt").await), (vec!["done".to_owned(); 3], "closed".into()));
    assert_eq!(w.counters(id).await.iter().map(|c| (c.2, c.3)).collect::<Vec<_>>(), [(2, 2); 3]);
    // Nothing to try again.
    let idle = half_done(w, with_output(prun("user.alice.k", 2), "out.txt"), 2).await;
    let before = w.task(idle).await;
    let none = w.rows(idle, "pseudo").await;
    assert_eq!(none.iter().filter(|f| f.state == FileState::Failed).count(), 1);
    let mut batch = Batch::new();
    task::file::move_all(&mut batch, &[none[1].id], FileState::Failed, FileState::Finished);
    w.ops.store.apply(batch).await.unwrap();
    again(w, idle, &Retry::default()).await;
    let t = w.task(idle).await;
    assert_eq!((t.state, t.ended_us, t.attempt), (before.state, before.ended_us, before.attempt));
    let mut batch = Batch::new();
    task::file::move_all(&mut batch, &[none[1].id], FileState::Finished, FileState::Failed);
    w.ops.store.apply(batch).await.unwrap();
}

/// 5.7: share and priority are those of a submission now, unless they are to be kept; what production stated holds again.
async fn share_and_priority_are_set_anew_unless_kept(w: &World) {
    let id = half_done(w, prun("user.alice.t", 2), 2).await;
    let drop_to = async |id: TaskId, priority: i64| {
        let before = w.task(id).await;
        let mut batch = Batch::new();
        let after = TaskRow { priority, share_name: Some("Old".into()), ..before.clone() };
        transition::set(&mut batch, &before, &after, w.ops.now().0);
        w.ops.store.apply(batch).await.unwrap();
    };
    let standing = async |id: TaskId| {
        let t = w.task(id).await;
        (t.state, t.priority, t.share_name.unwrap())
    };
    let values = json!({"value": 50, "label": "user"});
    share::change::set(&w.ops, &crate::world::operator(), "New", values.as_object().unwrap()).await.unwrap();
    drop_to(id, 5).await;
    again(w, id, &Retry { keep_gshare_priority: true, ..Retry::default() }).await;
    assert_eq!(standing(id).await, (TaskState::Running, 5, "Old".into()));
    let job = w.job().await.unwrap();
    w.limit_failures(&w.rows(id, "pseudo").await[1], 1).await;
    w.fail(&job, 1).await;
    w.settle().await;
    again(w, id, &Retry::default()).await;
    assert_eq!(standing(id).await, (TaskState::Running, 1_000, "New".into()));
    // The same for what reads its input anew, and for what production stated.
    finish_the_rest(w, id).await;
    let mut params = prun("user.prod.t", 2);
    params["taskPriority"] = json!(1_400);
    params["maxAttempt"] = json!(1);
    let high = submit(&w.ops, &prod(), params, None).await.unwrap().task_id;
    w.settle().await;
    let (one, other) = (w.job().await.unwrap(), w.job().await.unwrap());
    w.finish(&one, "x").await;
    w.fail(&other, 1).await;
    w.settle().await;
    drop_to(high, 5).await;
    command::reload_input(&w.ops, &prod(), high, false).await.unwrap();
    w.settle().await;
    assert_eq!(standing(high).await, (TaskState::Running, 1_400, "New".into()));
    finish_the_rest(w, high).await;
}

/// 3.6, 4.3: a file whose failures are limited may fail as often again as it may be tried.
async fn a_retry_allows_further_failures(w: &World) {
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    w.limit_failures(&w.rows(id, "pseudo").await[0], 1).await;
    let job = w.job().await.unwrap();
    w.fail(&job, 1).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Failed);
    again(w, id, &Retry::default()).await;
    for _ in 0..4 {
        let job = w.job().await.unwrap();
        w.fail(&job, 1).await;
        w.settle().await;
    }
    let file = w.rows(id, "pseudo").await.remove(0);
    assert_eq!((file.attempt, file.max_attempt, file.failed, file.max_failure), (5, 6, 5, Some(6)));
    finish_the_rest(w, id).await;
}

/// 4.4, 5.6: a goal that is reached ends no retry of the rest; a goal that was missed is decided on anew.
async fn goals_of_a_retried_task(w: &World) {
    let mut params = prun("user.alice.t", 4);
    params["goal"] = json!(50);
    let id = half_done(w, params, 4).await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    again(w, id, &Retry::default()).await;
    w.pass(700);
    w.settle().await;
    assert_eq!((w.task(id).await.state, adjust(w, id).await.past_goal), (TaskState::Running, true));
    finish_the_rest(w, id).await;
    let mut params = prun("user.alice.u", 2);
    (params["goal"], params["failGoalUnreached"]) = (json!(90), json!(true));
    let id = half_done(w, params, 2).await;
    assert_eq!(w.task(id).await.state, TaskState::Failed);
    again(w, id, &Retry::default()).await;
    assert!(!adjust(w, id).await.past_goal);
    finish_the_rest(w, id).await;
}

/// 4.3, staged: from now on it does not wait for inputs from tape, with new parameters or without.
async fn staging_is_not_waited_for(w: &World) {
    for (n, new) in [None, Some(json!({"nMaxFilesPerJob": 10}).as_object().unwrap().clone())].into_iter().enumerate() {
        let id = half_done(w, prun(&format!("user.alice.t{n}"), 2), 2).await;
        let args = Retry { disable_staging_mode: true, new_parameters: new, ..Retry::default() };
        command::retry(&w.ops, &alice(), id, &args).await.unwrap();
        w.settle().await;
        assert!(adjust(w, id).await.is_released("staging"));
        finish_the_rest(w, id).await;
    }
}

/// A parent of two jobs, one of which failed, and a task that read what the other made; both are at their end.
async fn family(w: &World, name: &str) -> (TaskId, TaskId) {
    let parent = half_done(w, with_output(prun(&format!("user.alice.p{name}"), 2), "out.txt"), 2).await;
    let params = with_output(with_input(prun(&format!("user.alice.c{name}"), 1), &format!("user.alice.p{name}_out.txt/"), 1), "out.txt");
    let child = submit(&w.ops, &alice(), params, Some(parent.0)).await.unwrap().task_id;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!((w.task(parent).await.state, w.task(child).await.state), (TaskState::Finished, TaskState::Finished));
    (parent, child)
}

/// 4.3: children are taken up with their parent, wait for it and read what it made; theirs as well.
async fn children_are_taken_up_with_their_parent(w: &World) {
    let (parent, child) = family(w, "1").await;
    let mut params = with_input(prun("user.alice.g1", 1), "user.alice.c1_out.txt/", 1);
    params["maxAttempt"] = json!(1);
    let grandchild = submit(&w.ops, &alice(), params, Some(child.0)).await.unwrap().task_id;
    let killed = submit(&w.ops, &alice(), prun("user.alice.k1", 1), Some(parent.0)).await.unwrap().task_id;
    w.settle().await;
    command::kill(&w.ops, &alice(), killed).await.unwrap();
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!((w.task(grandchild).await.state, w.task(killed).await.state), (TaskState::Finished, TaskState::Aborted));
    again(w, parent, &Retry::default()).await;
    let waiting = w.task(child).await;
    assert_eq!((waiting.state, w.task(grandchild).await.state), (TaskState::Pending, TaskState::Pending));
    assert!(waiting.reason.unwrap().contains("waits for its parent task"));
    // One job each: the parent's second, and what is new for the others.
    assert_eq!(finish_the_rest(w, parent).await, 3);
    for id in [child, grandchild] {
        let t = w.task(id).await;
        assert_eq!((t.state, t.attempt, w.counters(id).await[0].3), (TaskState::Done, 1, 2), "{}", t.name);
    }
    assert_eq!(w.task(killed).await.state, TaskState::Aborted);
}

/// 4.3, noChild: children stay as they are.
async fn children_are_left_alone_when_asked(w: &World) {
    let (parent, child) = family(w, "1").await;
    again(w, parent, &Retry { no_child_retry: true, ..Retry::default() }).await;
    finish_the_rest(w, parent).await;
    assert_eq!((w.task(child).await.state, w.task(child).await.attempt), (TaskState::Finished, 0));
}

/// A command that is carried out again after a crash takes up no child that has ended since.
async fn no_child_is_taken_up_twice(w: &World) {
    let (parent, child) = family(w, "1").await;
    command::retry(&w.ops, &alice(), parent, &Retry::default()).await.unwrap();
    let given = transition::commands(&w.ops.store, TaskId(0), 10).await.unwrap().remove(0);
    w.settle().await;
    assert_eq!(w.task(child).await.attempt, 1);
    finish_the_rest(w, parent).await;
    // As if the parent were still at its command, and its child were through.
    let force = async |id: TaskId, state: TaskState, actor: Actor| {
        let before = w.task(id).await;
        let mut batch = Batch::new();
        let after = TaskRow { state, ..before.clone() };
        transition::move_to(&mut batch, &before, &after, actor, w.ops.now().0, None).unwrap();
        w.ops.store.apply(batch).await.unwrap();
    };
    for id in [child, parent] {
        for (state, actor) in [
            (TaskState::Toincexec, Actor::User),
            (TaskState::Rerefine, Actor::Engine),
            (TaskState::Finishing, Actor::User),
            (TaskState::Passed, Actor::Engine),
            (TaskState::Finished, Actor::Finisher),
        ] {
            force(id, state, actor).await;
        }
    }
    force(parent, TaskState::Toincexec, Actor::User).await;
    let mut batch = Batch::new();
    transition::add_command(&mut batch, &transition::TaskCommand { command: "incexec".into(), ..given });
    w.ops.store.apply(batch).await.unwrap();
    loops::step(LoopKind::Command, &w.ops, w.ops.now()).await.unwrap();
    let t = w.task(child).await;
    assert_eq!((w.task(parent).await.state, t.state, t.attempt), (TaskState::Rerefine, TaskState::Finished, 1));
    w.settle().await;
}

/// A task is finished while its input is listed: what a retry takes up is the whole input.
async fn an_input_that_was_listed_in_part_is_listed_on_by_a_retry(w: &World) {
    let files = (0..9_700).map(|n| dataset::DatasetFile { lfn: format!("f{n:05}"), ..dataset::DatasetFile::default() });
    w.files("large", "closed", files.collect()).await;
    let id = w.submit(with_input(prun("user.alice.large", 1), "large", 100)).await;
    let step = async |kind| loops::step(kind, &w.ops, w.ops.now()).await.unwrap();
    assert!(step(LoopKind::Refine).await.more, "it takes more than one step");
    let listed = w.rows(id, "IN").await.len();
    assert!(0 < listed && listed < 9_700, "{listed}");
    command::finish(&w.ops, &alice(), id, false).await.unwrap();
    w.settle().await;
    assert!(w.task(id).await.state.is_final(), "{}", w.task(id).await.state);
    assert_eq!(w.rows(id, "IN").await.len(), listed);
    command::retry(&w.ops, &alice(), id, &Retry::default()).await.unwrap();
    w.settle().await;
    let rows = w.rows(id, "IN").await;
    assert_eq!((rows.len(), rows.iter().filter(|f| f.state == FileState::Running).count()), (9_700, 9_700));
    command::kill(&w.ops, &alice(), id).await.unwrap();
    w.settle().await;
}

cases!(
    an_input_that_was_listed_in_part_is_listed_on_by_a_retry,
    a_retry_opens_what_the_end_closed,
    share_and_priority_are_set_anew_unless_kept,
    a_retry_allows_further_failures,
    goals_of_a_retried_task,
    staging_is_not_waited_for,
    children_are_taken_up_with_their_parent,
    children_are_left_alone_when_asked,
    no_child_is_taken_up_twice,
);
