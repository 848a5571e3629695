//! Every page over a small world: as HTML and as JSON, in its bounds, with everything escaped and nothing secret.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/site.rs"]
mod site;
mod support;

use std::time::Duration;

use axum::http::StatusCode;
use panda_core::job::state::JobState;
use panda_ops::job::log::Stream;
use serde_json::{Value, json};
use site::{Site, check};
use support::PATIENCE;

#[tokio::test]
async fn every_page_is_shown() {
    let site = Site::new().await;
    let ids = &site.ids;
    for (path, words) in [
        ("/".to_owned(), vec!["Jobs by state", "LOCAL", "&lt;oops&gt;", "/tasks/?state=running", "/jobs/?queue=LOCAL&amp;state=running"]),
        ("/tasks/".to_owned(), vec!["user.alice.fit.v2/", "42 %", "no queue fits"]),
        (format!("/task/{}/", ids.running), vec!["In work", "panda outputs task/", "trans 3", "Data sets", "history"]),
        (format!("/task/{}/", ids.pending), vec!["32000 MB asked for, 16000 MB there", "Decision: broker", "AMBER_GRID, LOCAL"]),
        (format!("/task/{}/", ids.failed), vec!["What failed jobs died of"]),
        ("/jobs/".to_owned(), vec!["slot1@node07.example.org", "/jobs/?state=activated"]),
        (format!("/jobs/?jeditaskid={}&state=failed", ids.running), vec!["Errors of the jobs listed", "any state", "user.alice.fit.v2/"]),
        (
            format!("/job/{}/", ids.job_failed),
            vec!["What went wrong", "1305", "payload &lt;b&gt;exit code 3&lt;/b&gt;", "max_rss", "points.00007.csv"],
        ),
        (format!("/job/{}/?stream=stderr", ids.job_failed), vec!["ValueError: &lt;no column y&gt;", "data-ended"]),
        (format!("/job/{}/", ids.job_running), vec!["chi2 = 1.03 χ²", "written now"]),
        (format!("/job/{}/", ids.job_waiting), vec!["no pilot of queue AMBER_GRID was seen yet"]),
        ("/queues/".to_owned(), vec!["OLD_DISK", "offline", "2 d"]),
        ("/queue/LOCAL/".to_owned(), vec!["SCORE", "(hidden)", "/storage/LOCAL"]),
    ] {
        let html = site.html(&path).await;
        for word in words {
            assert!(html.to_lowercase().contains(&word.to_lowercase()), "{path}: `{word}` is missing in {html}");
        }
    }
}

#[tokio::test]
async fn json_has_the_keys_that_scripts_know() {
    let site = Site::new().await;
    let ids = &site.ids;
    let tasks = site.json("/tasks/?json=1&limit=2").await;
    assert_eq!(tasks.as_array().unwrap().len(), 2);
    insta::assert_json_snapshot!("tasks", tasks[0], {".jeditaskid" => "[id]", ".reqid" => "[id]", ".datasets[].jeditaskid" => "[id]", ".datasets[].datasetid" => "[id]"});
    let task = site.json(&format!("/task/{}/?json=1", ids.running)).await;
    for key in ["task", "taskparams", "datasets", "jobsummary", "errsByCount", "statuslog", "why"] {
        assert!(!task[key].is_null(), "{key}");
    }
    assert_eq!((&task["taskparams"]["secrets"], &task["taskparams"]["nFilesPerJob"]), (&json!("(hidden)"), &json!(2)));
    insta::assert_json_snapshot!("task", task["task"], {".jeditaskid" => "[id]", ".reqid" => "[id]"});
    insta::assert_json_snapshot!("task_errors", task["errsByCount"], {"[].example_pandaid" => "[id]"});
    let jobs = site.json("/jobs/?json=1&limit=10").await;
    for key in ["selectionsummary", "jobs", "errsByCount"] {
        assert!(jobs[key].is_array(), "{key}");
    }
    let one = site.json(&format!("/jobs/?json&datasets=true&limit=1&jobstatus=finished&days=7&jeditaskid={}", ids.running)).await;
    let job = &one["jobs"][0];
    for key in ["pandaid", "jeditaskid", "produsername", "computingsite", "modificationhost"] {
        assert!(!job[key].is_null(), "{key}");
    }
    let files = job["datasets"].as_array().unwrap();
    assert!(
        files.iter().any(|f| f["lfn"] == "points.00005.csv" && f["datasetname"] == "user.alice.points" && f["datasetid"].is_i64()),
        "{files:?}"
    );
    let job = site.json(&format!("/job/{}/?json=1", ids.job_failed)).await;
    for key in ["files", "job", "dsfiles"] {
        assert!(!job[key].is_null(), "{key}");
    }
    assert_eq!(job["dictionary"]["secrets"], "(hidden)");
    insta::assert_json_snapshot!("job", job["job"], {".pandaid" => "[id]", ".jeditaskid" => "[id]", ".jobname" => "[name]"});
    let queues = site.json("/queues/?json").await;
    insta::assert_json_snapshot!("queues", queues);
    let queue = site.json("/queue/LOCAL/?json").await;
    assert_eq!((&queue["queue"]["config"]["site_password"], &queue["jobcounts"]["SCORE"]["running"]), (&json!("(hidden)"), &json!(2)));
    let overview = site.json("/?json").await;
    assert_eq!((&overview["tasks"]["running"], &overview["engine"][0]["loop"]), (&json!(1), &json!("refine")));
    let by_header = site.ask("/tasks/", "application/json").await;
    assert_eq!(by_header.kind, "application/json");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let site = Site::new().await;
    let ids = |v: &Value| v.as_array().unwrap().iter().map(|t| t["jeditaskid"].as_i64().unwrap()).collect::<Vec<_>>();
    let all = ids(&site.json("/tasks/?json").await);
    assert_eq!(all.len(), 6);
    assert!(all.is_sorted_by(|a, b| a > b), "newest first");
    let first = ids(&site.json("/tasks/?json&limit=4").await);
    let second = ids(&site.json(&format!("/tasks/?json&limit=4&before={}", first[3])).await);
    assert_eq!([first.clone(), second].concat(), all);
    let page = site.html("/tasks/?limit=4&owner=alice").await;
    assert!(!page.contains("rel=\"next\""), "alice has four tasks");
    let page = site.html("/tasks/?limit=4").await;
    assert!(page.contains(&format!("/tasks/?limit=4&amp;before={}", first[3])), "{page}");
    for (query, n) in [
        ("owner=bob", 2),
        ("username=bob&status=failed", 1),
        ("owner=nobody", 0),
        ("state=running,done", 2),
        ("hours=1", 3),
        ("days=1", 6),
        ("state=done&owner=bob", 0),
    ] {
        assert_eq!(ids(&site.json(&format!("/tasks/?json&{query}")).await).len(), n, "{query}");
    }
    let jobs = async |query: &str| site.json(&format!("/jobs/?json&{query}")).await["jobs"].as_array().unwrap().clone();
    let task = site.ids.running;
    for (query, n) in [
        (format!("jeditaskid={task}"), 7),
        (format!("jeditaskid={task}&state=running"), 2),
        (format!("jeditaskid={task}&computingsite=AMBER_GRID"), 1),
        ("queue=AMBER_GRID".to_owned(), 2),
        ("state=failed".to_owned(), 3),
        ("jobstatus=finished|failed&site=LOCAL".to_owned(), 9),
        ("limit=3".to_owned(), 3),
    ] {
        let got = jobs(&query).await;
        assert_eq!(got.len(), n, "{query}");
        assert!(got.iter().all(|j| JobState::parse(j["jobstatus"].as_str().unwrap()).is_ok()));
    }
    assert_eq!(jobs("limit=99999").await.len(), 13, "a limit beyond the bound is cut");
}

#[tokio::test]
async fn what_is_not_there_says_what_to_do() {
    let site = Site::new().await;
    for (path, status, words) in [
        ("/task/999/", StatusCode::NOT_FOUND, "list of tasks"),
        ("/task/%3Cscript%3Ealert('x')%3C%2Fscript%3E/", StatusCode::NOT_FOUND, "is no task number"),
        ("/job/999/", StatusCode::NOT_FOUND, "list of jobs"),
        ("/queue/NOWHERE/", StatusCode::NOT_FOUND, "panda queue add"),
        ("/jobs/?queue=NOWHERE", StatusCode::NOT_FOUND, "no queue"),
        ("/nothing/here", StatusCode::NOT_FOUND, "/tasks/"),
        ("/search?q=nobody%20knows", StatusCode::NOT_FOUND, "whole name of a queue"),
        ("/tasks/?state=%3Cb%3E", StatusCode::BAD_REQUEST, "unknown task state"),
        ("/tasks/?limit=0", StatusCode::BAD_REQUEST, "at least 1"),
        ("/jobs/?before=x", StatusCode::BAD_REQUEST, "no whole number"),
        ("/job/1/?stream=stdin", StatusCode::NOT_FOUND, "no job 1"),
    ] {
        let got = site.ask(path, "text/html").await;
        assert_eq!(got.status, status, "{path}");
        assert!(got.text.contains(words), "{path}: {}", got.text);
        check(path, &got.text);
        let got = site.ask(path, "application/json").await;
        assert_eq!(got.status, status, "{path}");
        let value: Value = serde_json::from_str(&got.text).unwrap();
        assert!(value["error"].is_string() && value["hint"].is_string(), "{path}");
    }
    let stream = site.ask(&format!("/job/{}/?stream=stdin", site.ids.job_failed), "text/html").await;
    assert_eq!((stream.status, stream.text.contains("stdout or stderr")), (StatusCode::BAD_REQUEST, true));
}

#[tokio::test]
async fn addresses_of_others_lead_to_ours() {
    let site = Site::new().await;
    let (task, job) = (site.ids.running, site.ids.job_running);
    for (from, to) in [
        ("/tasks?state=done".to_owned(), "/tasks/?state=done".to_owned()),
        (format!("/task/{task}"), format!("/task/{task}/")),
        (format!("/task?jeditaskid={task}&json"), format!("/task/{task}/?json")),
        (format!("/job?pandaid={job}"), format!("/job/{job}/")),
        ("/job".to_owned(), "/jobs/".to_owned()),
        ("/sites/".to_owned(), "/queues/".to_owned()),
        ("/globalshares/?json".to_owned(), "/shares/?json".to_owned()),
        ("/site/LOCAL/".to_owned(), "/queue/LOCAL/".to_owned()),
        (format!("/search?q={task}"), format!("/task/{task}/")),
        (format!("/search?q=job%2F{job}"), format!("/job/{job}/")),
        ("/search?q=LOCAL".to_owned(), "/queue/LOCAL/".to_owned()),
        ("/search?q=bob".to_owned(), "/tasks/?owner=bob".to_owned()),
        ("/search?q=".to_owned(), "/".to_owned()),
    ] {
        let got = site.ask(&from, "text/html").await;
        assert_eq!((got.status, got.place.as_str()), (StatusCode::FOUND, to.as_str()), "{from}");
    }
}

#[tokio::test]
async fn logs_are_followed() {
    let site = Site::new().await;
    let job = site.ids.job_running;
    let start = site.json(&format!("/job/{job}/log?stream=stdout")).await;
    assert_eq!((start["ended"].as_bool(), start["text"].as_str().unwrap().lines().count()), (Some(false), 2));
    let next = start["next"].as_u64().unwrap();
    let path = format!("/job/{job}/log?stream=stdout&offset={next}&wait_s=20");
    let (piece, _) = tokio::join!(site.json(&path), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        site.world.log(job, Stream::Stdout, next, "fit 2 of 40 <i>\n", false).await
    });
    assert_eq!(piece["text"], "fit 2 of 40 <i>\n");
    let raw = tokio::time::timeout(PATIENCE, site.ask(&format!("/job/{job}/log?raw"), "text/html")).await.unwrap();
    assert_eq!((raw.status, raw.kind.as_str()), (StatusCode::OK, "text/plain; charset=utf-8"));
    assert!(raw.text.ends_with("χ²\nfit 2 of 40 <i>\n"), "{}", raw.text);
    let ended = site.json(&format!("/job/{}/log?stream=stderr&wait_s=20", site.ids.job_failed)).await;
    assert_eq!(ended["ended"], true);
    let none = site.ask("/job/77/log", "text/html").await;
    assert_eq!((none.status, none.kind.as_str()), (StatusCode::NOT_FOUND, "application/json"));
}

#[tokio::test]
async fn files_of_the_pages_are_ours() {
    let site = Site::new().await;
    let page = site.html("/").await;
    for (name, kind) in [("monitor.css", "text/css; charset=utf-8"), ("monitor.js", "text/javascript; charset=utf-8")] {
        assert!(page.contains(&format!("/static/{name}?v=")));
        let got = site.ask(&format!("/static/{name}"), "*/*").await;
        assert_eq!((got.status, got.kind.as_str()), (StatusCode::OK, kind));
        assert!(!got.text.contains("http://") && !got.text.contains("https://"), "{name} names another site");
    }
    assert_eq!(site.ask("/static/other", "*/*").await.status, StatusCode::NOT_FOUND);
}
