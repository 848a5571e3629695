//! News about tasks: mail and webhooks, a relay that is down, a receiver that is slow, kills in between (`spec/engine.md` 5.6, ADR 9).

use panda_access::Principal;
use panda_core::{id::TaskId, setting::notify, task::state::TaskState};
use panda_engine::loops::{self, LoopKind};
use panda_ops::{effect, setting, task, why};
use panda_store::query::effect::{self as rows, Effect};
use serde_json::{Value, json};

use crate::{
    stub,
    world::{World, alice, prun, with_input},
};

fn ann() -> Principal {
    Principal { email: Some("ann@example.org".into()), ..alice() }
}
async fn set(w: &World, s: &panda_core::setting::Setting, value: &str) {
    setting::set(&w.ops, &crate::world::operator(), s.name, "", "", value).await.unwrap();
}
async fn step(w: &World) -> usize {
    loops::step(LoopKind::Effect, &w.ops, w.ops.now()).await.unwrap().done
}
async fn effects(w: &World, id: TaskId) -> Vec<Effect> {
    rows::of_subject(&w.ops.store, id.0).await.unwrap()
}
/// Runs a task of one job to its end, with the loop that delivers left alone.
async fn run(w: &World, params: Value) -> TaskId {
    let id = task::submit::submit(&w.ops, &ann(), params, None).await.unwrap().task_id;
    w.settle_without(&[LoopKind::Effect]).await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle_without(&[LoopKind::Effect]).await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    id
}
async fn because(w: &World, id: TaskId) -> String {
    why::task::why(&w.ops, &alice(), id).await.unwrap()["because"].to_string()
}

async fn an_end_is_told_once_by_mail_and_webhook(w: &World) {
    let (relay, hook) = (stub::relay(0, "250 ok").await, stub::receiver().await);
    let secret = w.dir.path().join("secret");
    std::fs::write(&secret, "shared\n").unwrap();
    set(w, &notify::MAIL_RELAY, &format!("smtp://127.0.0.1:{}", relay.port)).await;
    set(w, &notify::MAIL_SUBJECT, "{name} is {state}").await;
    set(w, &notify::WEBHOOK_URL, &format!("http://127.0.0.1:{}/news", hook.port)).await;
    set(w, &notify::WEBHOOK_SECRET_FILE, &secret.display().to_string()).await;
    let id = run(w, prun("user.alice.t", 1)).await;
    assert_eq!((relay.count(), hook.count()), (0, 0), "nothing leaves before the loop runs");
    assert_eq!(step(w).await, 2);
    assert_eq!(step(w).await, 0, "once");
    let mail = relay.last();
    for part in ["RCPT TO:<ann@example.org>", "Subject: user.alice.t/ is done\r\n", "Input files: 1, done 1, failed 0."] {
        assert!(mail.contains(part), "{part} in {mail}");
    }
    let news = hook.last();
    let (head, body) = news.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("post /news http/1.1") && head.contains("x-panda-event: task_state"), "{head}");
    assert!(head.contains(&format!("x-panda-signature-256: {}", panda_notify::hook::signature("shared", body))), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&body["task_id"], &body["from"], &body["to"], &body["owner"]),
        (&json!(id.0), &json!("prepared"), &json!("done"), &json!("alice"))
    );
    for e in effects(w, id).await {
        assert_eq!((e.state.as_str(), e.attempts, e.doc), ("done", 1, None));
        assert!(head.contains(&e.key) || mail.contains(&e.key.replace('/', ".")), "a name of its own: {}", e.key);
    }
    assert!(effect::health(&w.ops).await.unwrap().is_empty());
    w.pass(8 * 86_400);
    step(w).await;
    assert!(effects(w, id).await.is_empty(), "records go after a week");
}

async fn who_wants_no_mail_gets_none(w: &World) {
    let relay = stub::relay(0, "250 ok").await;
    set(w, &notify::MAIL_RELAY, &format!("smtp://127.0.0.1:{}", relay.port)).await;
    let mut quiet = prun("user.alice.quiet", 1);
    quiet["noEmail"] = json!(true);
    let quiet = run(w, quiet).await;
    setting::set(&w.ops, &crate::world::operator(), notify::MAIL_STATES.name, "amber", "user", "failed").await.unwrap();
    let other = run(w, prun("user.alice.other", 1)).await;
    assert_eq!(step(w).await, 0);
    assert!(effects(w, quiet).await.is_empty() && effects(w, other).await.is_empty());
}

async fn a_relay_that_is_down_holds_up_nothing(w: &World) {
    let port = stub::free_port().await;
    set(w, &notify::MAIL_RELAY, &format!("smtp://127.0.0.1:{port}")).await;
    let id = run(w, prun("user.alice.t", 1)).await;
    assert_eq!(step(w).await, 1);
    let e = effects(w, id).await.remove(0);
    assert_eq!((e.state.as_str(), e.attempts, e.next_us - w.ops.now().0), ("waiting", 1, 30_000_000));
    assert!(because(w, id).await.contains("the mail to its owner failed 1 times and is tried again at"), "{}", because(w, id).await);
    let health = effect::health(&w.ops).await.unwrap();
    assert!(health.len() == 1 && health[0].starts_with("1 mails wait to be delivered") && health[0].contains("refused"), "{health:?}");
    w.pass(29);
    assert_eq!(step(w).await, 0, "not yet");
    w.pass(2);
    assert_eq!(step(w).await, 1);
    assert_eq!(effects(w, id).await[0].attempts, 2);
    // It is back, but not in the mood.
    let busy = stub::relay(port, "451 later").await;
    w.pass(61);
    assert_eq!((step(w).await, busy.count()), (1, 0));
    assert!(effects(w, id).await[0].reason.as_deref().unwrap().contains("later"));
    drop(busy);
    let relay = stub::relay(0, "250 ok").await;
    set(w, &notify::MAIL_RELAY, &format!("smtp://127.0.0.1:{}", relay.port)).await;
    w.pass(121);
    assert_eq!((step(w).await, relay.count()), (1, 1));
    assert_eq!(effects(w, id).await[0].state, "done");
    assert!(effect::health(&w.ops).await.unwrap().is_empty() && !because(w, id).await.contains("mail"));
}

async fn what_cannot_be_delivered_is_given_up_with_its_reason(w: &World) {
    let relay = stub::relay(0, "550 no such user").await;
    set(w, &notify::MAIL_RELAY, &format!("smtp://127.0.0.1:{}", relay.port)).await;
    let never = run(w, prun("user.alice.never", 1)).await;
    assert_eq!(step(w).await, 1);
    let e = effects(w, never).await.remove(0);
    assert_eq!((e.state.as_str(), e.attempts), ("failed", 1), "another time would be the same");
    assert!(
        because(w, never).await.contains("was given up after 1 attempts: the mail relay: permanent error (550)"),
        "{}",
        because(w, never).await
    );
    set(w, &notify::MAIL_RELAY, &format!("smtp://127.0.0.1:{}", stub::free_port().await)).await;
    let late = run(w, prun("user.alice.late", 1)).await;
    step(w).await;
    w.pass(3 * 86_400);
    step(w).await;
    assert_eq!(effects(w, late).await[0].state, "failed");
    let health = effect::health(&w.ops).await.unwrap().join("; ");
    assert!(health.starts_with("2 mails were given up"), "{health}");
}

/// The process dies after the receiver has it and before that is written down: it is delivered again, under the same name.
async fn a_kill_between_delivery_and_record_delivers_again(w: &World) {
    let hook = stub::receiver().await;
    hook.answers.forget_permits(1_000);
    set(w, &notify::WEBHOOK_URL, &format!("http://127.0.0.1:{}/", hook.port)).await;
    let id = run(w, prun("user.alice.t", 1)).await;
    tokio::select! {
        _ = step(w) => panic!("there was no answer"),
        () = hook.rung.notified() => {}
    }
    assert_eq!(effects(w, id).await[0].state, "waiting");
    hook.answers.add_permits(10);
    assert_eq!(step(w).await, 1);
    let name = |text: &String| text.lines().find(|l| l.starts_with("x-panda-delivery")).unwrap().to_owned();
    let got = hook.got.lock().clone();
    assert_eq!(got.len(), 2);
    assert_eq!(name(&got[0]), name(&got[1]));
    assert_eq!(effects(w, id).await[0].state, "done");
}

/// Moves before the first job are told too: a task that waits for its parent, and one whose inputs are listed.
async fn every_move_of_a_task_is_told(w: &World) {
    set(w, &notify::WEBHOOK_URL, "http://127.0.0.1:9/").await;
    set(w, &notify::WEBHOOK_STATES, "all").await;
    let parent = w.submit(prun("user.alice.parent", 1)).await;
    let child = task::submit::submit(&w.ops, &alice(), prun("user.alice.child", 1), Some(parent.0)).await.unwrap().task_id;
    let broken = w.submit(with_input(prun("user.alice.broken", 1), "user.bob.nothing/", 1)).await;
    w.settle_without(&[LoopKind::Effect]).await;
    let told = async |id: TaskId| -> Vec<(String, String)> {
        let docs = effects(w, id).await.into_iter().map(|e| serde_json::from_str::<Value>(&e.doc.unwrap()).unwrap());
        let bodies = docs.map(|d| serde_json::from_str::<Value>(d["body"].as_str().unwrap()).unwrap());
        bodies.map(|b| (b["from"].as_str().unwrap().to_owned(), b["to"].as_str().unwrap().to_owned())).collect()
    };
    let step = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    for (id, moves) in [
        (parent, vec![step("registered", "defined"), step("defined", "ready")]),
        (child, vec![step("registered", "defined"), step("defined", "pending")]),
        (broken, vec![step("registered", "defined")]),
    ] {
        let told = told(id).await;
        assert!(moves.iter().all(|m| told.contains(m)), "{} of {told:?}", w.task(id).await.state);
    }
    // Each change of the row is told: nothing is moved beside it.
    for id in [child, broken] {
        let events = panda_store::query::task::list::events(&w.ops.store, id).await.unwrap();
        let mut moves: Vec<_> = events.iter().filter_map(|e| Some(step(e.from.as_deref()?, &e.to))).collect();
        let mut told = told(id).await;
        moves.sort();
        told.sort();
        assert_eq!(told, moves);
    }
}

/// PC: every change of the task is told, whatever states the site wants to hear of.
async fn a_task_that_pushes_tells_every_change(w: &World) {
    set(w, &notify::WEBHOOK_URL, "http://127.0.0.1:1/news").await;
    set(w, &notify::WEBHOOK_STATES, "failed").await;
    let told = async |id| -> Vec<String> {
        let mut all = effects(w, id).await;
        all.retain(|e| e.kind == effect::WEBHOOK);
        all.sort_by_key(|e| e.id);
        let to = |e: &Effect| {
            let doc: Value = serde_json::from_str(e.doc.as_deref().unwrap()).unwrap();
            let body: Value = serde_json::from_str(doc["body"].as_str().unwrap()).unwrap();
            body["to"].as_str().unwrap().to_owned()
        };
        all.iter().map(to).collect()
    };
    let quiet = run(w, prun("user.alice.quiet", 1)).await;
    assert_eq!(told(quiet).await, Vec::<String>::new());
    let mut params = prun("user.alice.loud", 1);
    params["pushStatusChanges"] = json!(true);
    let id = run(w, params).await;
    let moves: Vec<String> =
        panda_store::query::task::list::events(&w.ops.store, id).await.unwrap().into_iter().skip(1).map(|e| e.to).collect();
    assert_eq!(told(id).await, moves);
    assert!(moves.contains(&"running".to_owned()) && moves.last().unwrap() == "done", "{moves:?}");
}

/// PC: the latest states of jobs are posted, many at a time, as long as the task works and for a while behind its end; a receiver that is down gets them later.
async fn jobs_of_a_task_that_pushes_are_told_of(w: &World) {
    let hook = stub::receiver().await;
    let port = stub::free_port().await;
    let to = |port: u16| format!("http://127.0.0.1:{port}/news");
    set(w, &notify::WEBHOOK_URL, &to(hook.port)).await;
    set(w, &notify::WEBHOOK_STATES, "failed").await;
    let posts = || -> Vec<Value> {
        let all = hook.got.lock();
        let bodies = all
            .iter()
            .filter(|p| p.contains("x-panda-event: job_states"))
            .map(|p| serde_json::from_str(p.split_once("\r\n\r\n").unwrap().1).unwrap());
        bodies.collect()
    };
    let states =
        |post: &Value| post["jobs"].as_array().unwrap().iter().map(|j| j["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let mut params = prun("user.alice.t", 3);
    params["pushStatusChanges"] = json!(true);
    params["maxAttempt"] = json!(1);
    let id = w.submit(params).await;
    w.settle().await;
    assert_eq!(posts().len(), 0, "what has just changed may still be on its way");
    w.pass(61);
    w.settle().await;
    let first = posts();
    assert_eq!((first.len(), states(&first[0])), (1, ["activated"; 3].map(str::to_owned).to_vec()));
    assert_eq!((&first[0]["task_id"], &first[0]["event"]), (&json!(id.0), &json!("job_states")));
    let (one, two) = (w.job().await.unwrap(), w.job().await.unwrap());
    w.report(&two, panda_core::job::report::Reported::Running, |_| {}).await;
    w.finish(&one, "x").await;
    w.settle().await;
    w.pass(61);
    w.settle().await;
    let mut second: Vec<(i64, String)> = posts()[1]["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| (j["job_id"].as_i64().unwrap(), j["state"].as_str().unwrap().into()))
        .collect();
    second.sort();
    let number = |job: &Value| job["PandaID"].as_i64().unwrap();
    assert_eq!(second, [(number(&one), "finished".into()), (number(&two), "running".into())]);
    w.pass(61);
    w.settle().await;
    assert_eq!(posts().len(), 2, "nothing has changed");
    // The receiver goes away, and comes back: nothing is lost. The address is that of the task's beginning.
    let moved = rows::of_subject(&w.ops.store, id.0).await.unwrap().into_iter().find(|e| e.kind == effect::JOB_STATES).unwrap();
    let away = moved.doc.clone().unwrap().replace(&to(hook.port), &to(port));
    let point = async |doc: String| {
        let now = rows::of_subject(&w.ops.store, id.0).await.unwrap().into_iter().find(|e| e.kind == effect::JOB_STATES).unwrap();
        let mut batch = panda_store::Batch::new();
        rows::settle(&mut batch, &Effect { doc: Some(doc), ..now.clone() }, now.attempts);
        w.ops.store.apply(batch).await.unwrap();
    };
    point(away).await;
    let three = w.job().await.unwrap();
    w.fail(&three, 1).await;
    w.finish(&two, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    w.pass(61);
    w.settle().await;
    assert!(because(w, id).await.contains("the news of its jobs to the webhook failed 1 times"), "{}", because(w, id).await);
    point(moved.doc.unwrap()).await;
    w.pass(100);
    w.settle().await;
    let third = posts();
    let mut ends = states(&third[2]);
    ends.sort();
    assert_eq!((third.len(), ends), (3, vec!["failed".to_owned(), "finished".to_owned()]));
    w.pass(3_700);
    w.settle().await;
    assert!(effects(w, id).await.iter().all(|e| e.kind != effect::JOB_STATES || e.state == rows::DONE));
    assert_eq!(posts().len(), 3);
}

cases!(
    jobs_of_a_task_that_pushes_are_told_of,
    a_task_that_pushes_tells_every_change,
    every_move_of_a_task_is_told,
    an_end_is_told_once_by_mail_and_webhook,
    who_wants_no_mail_gets_none,
    a_relay_that_is_down_holds_up_nothing,
    what_cannot_be_delivered_is_given_up_with_its_reason,
    a_kill_between_delivery_and_record_delivers_again,
);
