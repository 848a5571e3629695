//! Small tasks: begun, listed and made ready in one batch, and kept as they were written for the turn in which their jobs are made.

use panda_core::task::state::TaskState;
use panda_engine::{
    feed::fresh,
    loops::{self, LoopKind},
};
use panda_ops::task::command;
use panda_store::query::{dataset::DatasetFile, task};
use serde_json::json;

use crate::world::{World, alice, prun, with_input, with_output};

/// A task that changed since is read.
async fn a_small_task_is_kept_as_it_was_written(w: &World) {
    let files = [("s1", 5), ("s2", 7), ("s3", 1)];
    let files = files.map(|(lfn, n)| DatasetFile { lfn: lfn.into(), n_events: Some(n), ..DatasetFile::default() });
    w.files("s", "closed", files.to_vec()).await;
    let of = async |name: &str| {
        let mut params = with_output(with_input(prun(name, 1), "s", 1), "out.txt");
        params["taskName"] = json!(format!("{name}/"));
        w.submit(params).await
    };
    let (kept, changed) = (of("user.alice.kept").await, of("user.alice.changed").await);
    let large = w.submit(prun("user.alice.large", 300)).await;
    loops::step(LoopKind::Refine, &w.ops, w.ops.now()).await.unwrap();
    let store = &w.ops.store;
    let t = w.task(kept).await;
    assert_eq!((t.state, t.rev), (TaskState::Ready, 2), "begun, listed and ready in one batch");
    let steps: Vec<_> = task::list::events(store, kept).await.unwrap().into_iter().map(|e| (e.rev, e.to)).collect();
    assert_eq!(steps, [(0, "registered".into()), (1, "defined".into()), (2, "ready".to_owned())]);
    let found = fresh::take(&w.ops, &t).expect("kept");
    let datasets = task::dataset::of_task(store, kept).await.unwrap();
    let master = datasets.iter().find(|d| d.is_master).unwrap().id;
    assert_eq!(found.datasets, datasets);
    assert_eq!(found.files, task::file::ready(store, master, 0, 10).await.unwrap());
    assert_eq!(found.files.len(), 3);
    assert!(fresh::take(&w.ops, &t).is_none(), "only once");
    command::pause(&w.ops, &alice(), changed).await.unwrap();
    assert!(fresh::take(&w.ops, &w.task(changed).await).is_none(), "it is not what it was");
    assert!(fresh::take(&w.ops, &w.task(large).await).is_none(), "more rows than are kept");
    w.settle().await;
    assert_eq!(w.task(kept).await.state, TaskState::Running);
}

cases!(a_small_task_is_kept_as_it_was_written);
