//! Tasks and jobs through the API, on SQLite.

use crate::support::{Server, get, post, server};
use insta::assert_snapshot;
use panda_core::{id::TaskId, machine::Actor, task::state::TaskState};
use panda_store::{Batch, query::task};
use serde_json::{Value, json};

/// A recorded submission of prun without input.
fn no_build() -> Value {
    let recorded: Value = serde_json::from_str(include_str!("../fixtures/client_requests.json")).unwrap();
    let is_submit = |e: &&Value| e["request"]["path"] == "/api/v1/task/submit";
    recorded.as_array().unwrap().iter().find(is_submit).unwrap()["request"]["params"].clone()
}

async fn submit(s: &Server, by: &str, name: &str) -> (i64, String) {
    let mut body = no_build();
    body["task_parameters"]["taskName"] = json!(format!("user.{by}.{name}/"));
    let reply = post("/api/v1/task/submit").by(by).json(&body).send(s).await.json();
    assert_eq!(reply["success"], true, "{reply}");
    (reply["data"].as_i64().unwrap(), reply["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn submitted_and_read_back() {
    let s = server().await;
    let (id, message) = submit(&s, "alice", "one").await;
    assert!(id >= 10_000_000);
    assert!(message.starts_with(&format!("succeeded. new jediTaskID={id} ")), "{message}");
    assert!(message.ends_with(&format!("http://127.0.0.1:25080/task/{id}/")), "{message}");
    let read = async |method: &str| get(&format!("/api/v1/task/{method}?task_id={id}")).by("bob").send(&s).await.json();
    assert_eq!(read("get_status").await["data"], "registered");
    assert_eq!(read("get_task_parameters").await["data"]["taskName"], "user.alice.one/");
    assert_eq!(read("get_job_ids").await["data"], json!([]));
    assert_eq!(read("get_job_descriptions").await["data"], json!([]));
    let details = read("get_detailed_info").await["data"].clone();
    assert_eq!((&details["jediTaskID"], &details["userName"], &details["reqID"]), (&json!(id), &json!("ALICE Example"), &json!(id)));
    assert!(details["creationDate"]["__datetime__"].is_string());
    assert_snapshot!(read("get_parent_detailed_info").await, @r#"{"success":false,"message":"No parent task found","data":null}"#);
    let filters = json!({"taskName": "user.alice.*"}).to_string();
    let filters = percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
    let list =
        async |by| get(&format!("/api/v1/task/get_tasks_detailed_info_since?n_tasks=1000&filters={filters}")).by(by).send(&s).await.json();
    assert_eq!(list("alice").await["data"][0]["jediTaskID"], id);
    assert_eq!(list("bob").await["data"], json!([]));
    let since = get("/api/v1/task/get_tasks_modified_since?since=2020-01-01+00%3A00%3A00&dn=None&full=True&min_task_id=None").by("alice");
    assert_eq!(since.send(&s).await.json()["data"][id.to_string()]["jediTaskID"], id);
    assert_snapshot!(
        get("/api/v1/task/get_status?task_id=5").by("bob").send(&s).await.line(),
        @r#"200 {"success": false, "message": "Task not found", "data": null}"#
    );
}

#[tokio::test]
async fn commands_need_the_owner() {
    let s = server().await;
    let (id, _) = submit(&s, "alice", "two").await;
    let ask =
        async |method: &str, by: &str| post(&format!("/api/v1/task/{method}")).by(by).json(&json!({"task_id": id})).send(&s).await.json();
    for method in ["kill", "finish", "retry", "pause", "resume", "reload_input"] {
        assert_eq!(ask(method, "bob").await["message"], "not the task owner or no production role", "{method}");
    }
    assert_eq!(ask("reactivate", "alice").await["message"], "production or pilot role required");
    let killed = ask("kill", "alice").await;
    assert_eq!((&killed["success"], &killed["data"]), (&json!(true), &json!(0)), "{killed}");
    assert_eq!(killed["message"], format!("command=kill is registered for task ID {id}. will be executed in a few minutes"));
}

#[tokio::test]
async fn faulty_submissions() {
    let s = server().await;
    let ask = async |parameters: Value| {
        post("/api/v1/task/submit").by("alice").json(&json!({"task_parameters": parameters})).send(&s).await.json()
    };
    for (fault, word) in [
        (json!({"taskName": "x"}), "failed to register task"),
        (json!({"taskName": ["x"]}), "'taskName' must be a text"),
        (json!({"taskName": "x", "coreCount": "many"}), "'coreCount' must be an integer"),
        (json!({"taskName": "x", "jobParameters": [{"type": "odd", "value": ""}]}), "'jobParameters[0].type'"),
    ] {
        let reply = ask(fault.clone()).await;
        assert_eq!((&reply["success"], &reply["data"]), (&json!(false), &json!(4)), "{fault}: {reply}");
        assert!(reply["message"].as_str().unwrap().contains(word), "{fault}: {reply}");
    }
    assert_eq!(ask(json!([])).await["message"], "Type error: 'task_parameters' must be of type dict, got list.");
}

/// What no queue could ever take is refused with what it lacks; what waits for a queue to come back is taken.
#[tokio::test]
async fn what_no_queue_could_ever_take() {
    let s = server().await;
    let ask = async |key: &str, value: Value| {
        let mut body = no_build();
        body["task_parameters"]["taskName"] = json!("user.alice.never/");
        body["task_parameters"][key] = value;
        post("/api/v1/task/submit").by("alice").json(&body).send(&s).await
    };
    assert_snapshot!(
        ask("ramCount", json!(32_000)).await.line(),
        @r#"200 {"success": false, "message": "failed to register task: no queue of 1 can take it: 1 not for jobs of 32000 MB of memory (Q1); with 4444 MB of memory instead of 32000: 1 more queue (Q1)", "data": 4}"#
    );
    assert_snapshot!(
        ask("site", json!("NOWHERE")).await.line(),
        @r#"200 {"success": false, "message": "failed to register task: no queue of 1 can take it: 1 not asked for (Q1); without a list of queues to use: 1 more queue (Q1)", "data": 4}"#
    );
    let offline = json!({"name": "Q1", "values": {"state": "offline"}});
    let set = post("/api/panda/v1/queue/set").by("op").json(&offline).send(&s).await.json();
    assert_eq!(set["success"], json!(true), "{set}");
    assert_eq!(ask("site", json!("Q1")).await.json()["success"], json!(true));
}

#[tokio::test]
async fn split_rules_of_a_live_task() {
    let s = server().await;
    let parameters = json!({"taskName": "user.alice.r", "noInput": true, "nEvents": 1, "nEventsPerJob": 1, "vo": "amber",
        "jobParameters": [{"type": "constant", "value": "x"}]});
    let reply = post("/api/v1/task/submit").by("alice").json(&json!({"task_parameters": parameters})).send(&s).await.json();
    let id = reply["data"].as_i64().unwrap_or_else(|| panic!("{reply}"));
    let change = async |who: &str, method: &str, name: &str, value: Value| {
        let body = json!({"task_id": id, "attribute_name": name, "value": value});
        post(&format!("/api/v1/task/{method}")).by(who).json(&body).send(&s).await.line()
    };
    assert_snapshot!(change("prod", "change_split_rule", "MF", json!("5")).await, @r#"200 {"success": true, "message": "1 tasks changed", "data": null}"#);
    assert_snapshot!(
        change("prod", "change_split_rule", "AE", json!("1")).await,
        @r#"200 {"success": false, "message": "split rule `AE` cannot be changed on a live task; these can: AI,AV,CC,EC,ES,IL,IM,LC,LI,MF,NF,NG,NI,NJ,NP,OT,TW,UZ", "data": 2}"#
    );
    assert_snapshot!(change("prod", "change_attribute", "ramCount", json!(3000)).await, @r#"200 {"success": true, "message": "1 tasks changed", "data": null}"#);
    let info = get(&format!("/api/v1/task/get_detailed_info?task_id={id}")).by("alice").send(&s).await.json();
    assert_eq!((&info["data"]["splitRuleText"], &info["data"]["ramCount"]), (&json!("MF=5,NE=1"), &json!(3000)), "{info}");
}

#[tokio::test]
async fn unknown_jobs() {
    let s = server().await;
    let line = async |path: &str| get(path).by("alice").send(&s).await.line();
    assert_snapshot!(
        line("/api/v1/job/get_status?job_ids=1&job_ids=2").await,
        @r#"200 {"success": true, "message": "", "data": [{"status":"unknown","command":"tobekilled"},{"status":"unknown","command":"tobekilled"}]}"#
    );
    assert_snapshot!(line("/api/v1/job/get_description?job_ids=1").await, @r#"200 {"success": true, "message": "", "data": [null]}"#);
    assert_snapshot!(
        line("/api/v1/pilot/get_job_status?job_ids=[1,2]").await,
        @r#"200 {"success": true, "message": "", "data": [{"job_id":1,"status":"not found","attempt_number":0},{"job_id":2,"status":"not found","attempt_number":0}]}"#
    );
    assert_snapshot!(
        line("/api/v1/job/get_metadata_for_analysis_jobs?task_id=5").await,
        @r#"200 {"success": true, "message": "No metadata found", "data": {}}"#
    );
    assert_snapshot!(
        post("/server/panda/getStatus").by("pilot").body("ids=1,2").send(&s).await.line(),
        @r#"200 {"StatusCode":0,"status":"notfound,notfound","attemptNr":"0,0"}"#
    );
    assert_snapshot!(
        post("/api/v1/job/kill").by("alice").json(&json!({"job_ids": [1]})).send(&s).await.line(),
        @r#"200 {"success": true, "message": "", "data": [false]}"#
    );
    assert_snapshot!(
        post("/api/v1/job/set_debug_mode").by("prod").json(&json!({"job_id": 5, "mode": true})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "job 5 not found", "data": null}"#
    );
    assert_snapshot!(
        line("/api/panda/v1/job/log?job_id=5&stream=x").await,
        @r#"200 {"success": false, "message": "stream must be stdout or stderr, got `x`", "data": null}"#
    );
}

#[tokio::test]
async fn a_job_without_a_task_reaches_a_pilot() {
    use panda_wire::job_spec::{Attributes, JobSpec, encode};
    let s = server().await;
    let map = |v: Value| Attributes(v.as_object().unwrap().clone());
    let spec = JobSpec {
        attributes: map(json!({
            "jobName": "lonely", "transformation": "http://127.0.0.1:25080/trf/user/runGen-00-00-02", "jobParameters": "-p x",
            "computingSite": "Q1", "prodSourceLabel": "user", "destinationDBlock": "user.alice.lonely",
        })),
        files: vec![
            map(
                json!({"lfn": "user.alice.lonely.out", "type": "output", "dataset": "user.alice.lonely", "destinationDBlock": "user.alice.lonely"}),
            ),
            map(
                json!({"lfn": "user.alice.lonely.log.tgz", "type": "log", "dataset": "user.alice.lonely", "destinationDBlock": "user.alice.lonely"}),
            ),
        ],
    };
    let submit = async |jobs: String| post("/api/v1/job/submit").by("alice").json(&json!({"jobs": jobs})).send(&s).await.json();
    assert_eq!(submit("[]".into()).await["success"], false);
    assert_eq!(submit("[[1,2]]".into()).await["message"], "the last value of job 0 must be the list of its files");
    let reply = submit(encode(&[spec])).await;
    assert_eq!(reply["success"], true, "{reply}");
    let id = reply["data"][0][0].as_i64().unwrap();
    assert!(id >= 1_000_000_000);
    // The old wire hands it out flat, and it is gone for the next pilot.
    let ask = || post("/server/panda/getJob").by("pilot").body("siteName=Q1&prodSourceLabel=user&diskSpace=14336&mem=3000");
    let reply = ask().send(&s).await;
    let job = reply.json();
    assert_eq!((&job["StatusCode"], &job["PandaID"], &job["jobPars"]), (&json!(0), &json!(id), &json!("-p x")), "{job}");
    assert_eq!((reply.bytes.first(), reply.bytes.last()), (Some(&b'{'), Some(&b'}')));
    for key in panda_wire::job_dict::ALWAYS {
        assert!(job.get(key).is_some(), "{key} is missing");
    }
    assert_eq!(ask().send(&s).await.json()["StatusCode"], 20);
    let beat =
        |state: &str| post("/server/panda/updateJob").by("pilot").body(format!("jobId={id}&state={state}&attemptNr=0&node=n1&coreCount=1"));
    assert_snapshot!(beat("starting").send(&s).await.text(), @r#"{"StatusCode":0,"command":"NULL"}"#);
    assert_snapshot!(beat("running").send(&s).await.text(), @r#"{"StatusCode":0,"command":"NULL"}"#);
    assert_snapshot!(beat("running").send(&s).await.text(), @r#"{"StatusCode":0,"command":"NULL"}"#);
    // Its log, in pieces, and the way it is read.
    let log = format!("/api/panda/v1/job/log?job_id={id}&attempt=0&stream=stdout");
    let append = async |offset: u32, text: &str| post(&format!("{log}&offset={offset}")).by("pilot").body(text).send(&s).await.json();
    assert_eq!(append(0, "hello ").await["data"]["size"], 6);
    assert_eq!(append(6, "world\n").await["data"]["size"], 12);
    assert_eq!(append(6, "world\n").await["data"]["size"], 12, "a piece sent twice is written once");
    let piece = get(&format!("{log}&offset=3")).by("bob").send(&s).await.json()["data"].clone();
    assert_eq!((&piece["text"], &piece["next"]), (&json!("lo world\n"), &json!(12)));
    assert_eq!(get(&format!("{log}&raw=true")).by("bob").send(&s).await.bytes, b"hello world\n");
    // Its owner has it killed: the pilot is told.
    let kill = post("/api/v1/job/kill").by("alice").json(&json!({"job_ids": [id]})).send(&s).await.json();
    assert_eq!(kill["data"], json!([true]));
    assert_snapshot!(beat("running").send(&s).await.text(), @r#"{"StatusCode":0,"command":"tobekilled"}"#);
    let described = get(&format!("/api/v1/job/get_description?job_ids={id}")).by("bob").send(&s).await.json();
    assert_eq!(described["data"][0]["jobStatus"], "running");
    assert_eq!(described["data"][0]["Files"].as_array().unwrap().len(), 2);
    let why = get(&format!("/api/panda/v1/job/why?job_id={id}")).by("bob").send(&s).await.json();
    assert_eq!(why["data"]["state"], "running", "{why}");
    // Counts are up to a second old, and brokerage has counted.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let stats = get("/api/v1/statistics/active_job_stats_by_site").send(&s).await.json();
    assert_eq!(stats["data"]["Q1"]["running"], 1, "{stats}");
}

/// engine.md 4.3: with a site, an empty one included, the task goes back to where it was; with a nucleus or a cloud it is assigned anew.
#[tokio::test]
async fn a_reassigned_task_goes_back_when_a_site_is_given() {
    let s = server().await;
    let store = &s.state.ops.store;
    let marked = post("/api/panda/v1/storage/set").by("op").json(&json!({"name": "S1", "values": {"nucleus": true}})).send(&s).await.json();
    assert_eq!(marked["data"]["nucleus"], true, "{marked}");
    let cases = [
        (json!({"site": "Q1"}), json!({"back_to_old_status": true, "site": "Q1"})),
        (json!({"site": "", "mode": "soft"}), json!({"back_to_old_status": true, "soft": true})),
        (json!({"nucleus": "S1"}), json!({"nucleus": "S1"})),
        (json!({"cloud": "C", "mode": "nokill"}), json!({"cloud": "C", "nokill": true})),
        (json!({}), json!({})),
    ];
    for (n, (given, stored)) in cases.into_iter().enumerate() {
        let (id, _) = submit(&s, "alice", &format!("r{n}")).await;
        let before = task::list::get(store, TaskId(id)).await.unwrap().unwrap();
        let after = task::TaskRow { state: TaskState::Defined, ..before.clone() };
        let mut batch = Batch::new();
        s.state.ops.move_task(&mut batch, &before, &after, Actor::Engine, before.state_us, None).await.unwrap();
        store.apply(batch).await.unwrap();
        let mut body = given.clone();
        body["task_id"] = json!(id);
        let reply = post("/api/v1/task/reassign").by("prod").json(&body).send(&s).await.json();
        assert_eq!((&reply["success"], &reply["data"]), (&json!(true), &json!(0)), "{given}: {reply}");
        let commands = task::transition::commands(store, TaskId(id - 1), 1).await.unwrap();
        let doc: Value = commands[0].doc.as_deref().map_or(json!({}), |d| serde_json::from_str(d).unwrap());
        assert_eq!((commands[0].task_id.0, doc), (id, stored), "{given}");
    }
}
