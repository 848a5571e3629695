//! Who may do what, asked of the live router: every method for everybody, and tasks of others and of other VOs. What is expected is read from the table.

use panda_access::table::{Denied, Object, Right, admit, allowed};
use panda_access::{Identity, Principal, RequestIdentity};
use panda_server::methods::{self, Space, Verb};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{Names, Reply, Server, get, post, server_of};

/// Token and `Origin`.
const PEOPLE: [(&str, &str); 14] = [
    ("", "amber"),
    ("alice", "amber"),
    ("bob", "amber"),
    ("eve", "flint"),
    ("prod", "amber"),
    ("prod", "flint"),
    ("pilot", "amber"),
    ("pilot", "flint"),
    ("site", "amber"),
    ("harvester", "amber"),
    ("vera", "amber"),
    ("vera", "flint"),
    ("sam", "amber"),
    ("op", "amber"),
];

fn principal(name: &str, vo: &str) -> Option<Arc<Principal>> {
    let header = format!("Bearer {name}");
    let authorization = (!name.is_empty()).then_some(header.as_str());
    Names.authenticate(&RequestIdentity { authorization, origin: Some(vo), peer_is_loopback: true, ..RequestIdentity::default() }).unwrap()
}

async fn ask(s: &Server, path: &str, is_get: bool, (name, vo): (&str, &str), body: &Value) -> Reply {
    let ask = if is_get { get(path) } else { post(path).json(body) }.header("origin", vo);
    if name.is_empty() { ask.send(s).await } else { ask.by(name).send(s).await }
}

/// Whether an answer is a refusal for want of a right.
fn is_denied(reply: &Reply) -> bool {
    let all = [
        Denied::NoIdentity,
        Denied::NoRole,
        Denied::NotPilot,
        Denied::NotOwner,
        Denied::OtherVo,
        Denied::NotOperator,
        Denied::NotSiteAdmin,
        Denied::NotVoAdmin,
    ];
    let said = serde_json::from_slice::<Value>(&reply.bytes).unwrap_or_default()["message"].as_str().unwrap_or_default().to_owned();
    all.iter().any(|denied| said == denied.to_string())
}

#[tokio::test]
async fn every_method_asks_the_table_before_it_reads_the_request() {
    let s = server_of(&["amber", "flint"]).await;
    let mut wrong = Vec::new();
    for method in methods::all() {
        let space = if method.space == Space::V1 { "/api/v1" } else { "/api/panda/v1" };
        let path = [space, method.module, method.name].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/");
        for who in PEOPLE {
            let known = principal(who.0, who.1);
            let expected = admit(method.right, known.as_deref()).is_err();
            let reply = ask(&s, &path, method.verb != Verb::Post, who, &json!({})).await;
            // Without arguments some are about the whole system, which may need more.
            let whole = allowed(method.right, known.as_deref(), None).is_err();
            if is_denied(&reply) != expected && !(is_denied(&reply) && whole) {
                wrong.push(format!("{path} by {who:?}: {}, the table says denied = {expected}", reply.line()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Methods on a task, with what else they need. Each is asked about a task of its own, since some end it.
const ON_TASKS: [(&str, Right, bool); 13] = [
    ("task/get_status?task_id=", Right::Read, true),
    ("task/get_details?task_id=", Right::Read, true),
    ("task/get_task_parameters?task_id=", Right::Read, true),
    ("task/kill", Right::TaskKill, false),
    ("task/finish", Right::TaskFinish, false),
    ("task/retry", Right::TaskRetry, false),
    ("task/pause", Right::TaskPause, false),
    ("task/resume", Right::TaskResume, false),
    ("task/reload_input", Right::TaskReloadInput, false),
    ("task/release", Right::TaskSteer, false),
    ("task/avalanche", Right::TaskSteer, false),
    ("task/change_priority", Right::TaskSteer, false),
    ("task/reassign", Right::TaskReassign, false),
];

async fn submitted(s: &Server, (name, vo): (&str, &str), n: usize) -> i64 {
    let parameters = json!({
        "taskName": format!("user.{name}.{n}"), "userName": name, "vo": vo, "prodSourceLabel": "user", "transUses": "", "transHome": "",
        "transPath": "http://127.0.0.1:25080/trf/user/runGen-00-00-02", "architecture": "", "noInput": true, "nEvents": 1, "nEventsPerJob": 1,
        "processingType": "panda", "taskType": "anal", "workingGroup": null, "site": "Q1",
        "log": {"dataset": format!("user.{name}.{n}.log/"), "type": "template", "param_type": "log", "value": "user.log.${SN}.tgz"},
        "jobParameters": [{"type": "constant", "value": "-p echo"}],
    });
    let reply = ask(s, "/api/v1/task/submit", false, (name, vo), &json!({"task_parameters": parameters})).await;
    let id = reply.json()["data"].as_i64();
    id.unwrap_or_else(|| panic!("{}", reply.line()))
}

#[tokio::test]
async fn tasks_are_for_whom_the_table_says() {
    let s = server_of(&["amber", "flint"]).await;
    let (mut wrong, mut n) = (Vec::new(), 0);
    for owner in [("alice", "amber"), ("eve", "flint")] {
        for (path, right, is_get) in ON_TASKS {
            for who in PEOPLE {
                n += 1;
                let id = submitted(&s, owner, n).await;
                let known = principal(who.0, who.1);
                let object = Object::owned(Some(("test", owner.0)), owner.1);
                let expected = allowed(right, known.as_deref(), Some(object)).is_err();
                let path = if is_get { format!("/api/v1/{path}{id}") } else { format!("/api/v1/{path}") };
                let mut body = json!({"task_id": id, "priority": 900, "site": "Q1"});
                let name = path.trim_start_matches("/api/v1/").split('?').next().unwrap_or_default();
                let (_, method) = methods::find(Space::V1, name).unwrap();
                body.as_object_mut().unwrap().retain(|key, _| method.params.iter().any(|p| p.name == key));
                let reply = ask(&s, &path, is_get, who, &body).await;
                // What is of another VO is to readers as if it were not there.
                let refused = is_denied(&reply) || (right == Right::Read && reply.json()["success"] == json!(false));
                if refused != expected {
                    wrong.push(format!("{path} of {owner:?} by {who:?}: {}, the table says denied = {expected}", reply.line()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_of_a_vo_is_out_of_reach_of_others() {
    let s = server_of(&["amber", "flint"]).await;
    for (path, body, mine, theirs) in [
        ("setting/set", json!({"name": "retry.attempts", "vo": "amber", "value": "4"}), ("vera", "amber"), ("vera", "flint")),
        ("vo/set", json!({"name": "amber", "values": {}}), ("vera", "amber"), ("vera", "flint")),
        ("user/ban", json!({"name": "bob", "vo": "amber"}), ("vera", "amber"), ("vera", "flint")),
        ("queue/hold", json!({"name": "Q1", "reason": "disks"}), ("sam", "amber"), ("prod", "amber")),
        ("share/set", json!({"name": "x", "values": {"value": 10}}), ("op", "amber"), ("vera", "amber")),
        ("token/create", json!({"name": "r", "robot": "r", "vo": "amber", "roles": ["pilot"]}), ("op", "amber"), ("vera", "flint")),
    ] {
        ask(&s, "/api/v1/task/get_tasks_detailed_info_since", true, ("bob", "amber"), &json!({})).await;
        let reply = ask(&s, &format!("/api/panda/v1/{path}"), false, theirs, &body).await;
        assert!(is_denied(&reply), "{path} by {theirs:?}: {}", reply.line());
        let reply = ask(&s, &format!("/api/panda/v1/{path}"), false, mine, &body).await;
        assert!(!is_denied(&reply), "{path} by {mine:?}: {}", reply.line());
    }
}
