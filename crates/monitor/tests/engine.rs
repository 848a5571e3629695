//! The pages of what the engine does by itself: shares, holds, retention.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/site.rs"]
mod site;
mod support;

use axum::http::StatusCode;
use serde_json::{Value, json};
use site::{Site, check};

#[tokio::test]
async fn shares_are_shown_as_a_tree_with_their_vos() {
    let site = Site::empty().await;
    site.world.fill_shares().await;
    let page = site.html("/shares/").await;
    for words in [
        "8 cores in use by 8 jobs, 3 jobs wait",
        "<td class=\"name in1\"><a href=\"/shares/?share=Simulation\">Simulation</a> <span class=\"tag hold\">throttled</span>",
        "<td class=\"name in2\">VO amber</td>",
        "working_group=&lt;b&gt;top&lt;/b&gt;.*",
        "VO &lt;i&gt;beryl&lt;/i&gt;",
        "50.0 % used, target 30.0 %",
        "<span class=\"tag run\">+20.0</span>",
        "<span class=\"tag wait\">−7.5</span>",
        "aria-current=\"page\">Shares</a>",
    ] {
        assert!(page.contains(words), "`{words}` is missing in {page}");
    }
    let at = |name: &str| page.find(&format!("share={name}\"")).unwrap();
    assert!(at("Production") < at("Reprocessing") && at("Simulation") < at("Undefined"), "parents first");
    let part = site.html("/shares/?share=Production").await;
    assert!(part.contains("Simulation") && !part.contains("Analysis") && !part.contains("Undefined"), "{part}");
}

#[tokio::test]
async fn shares_as_json_have_targets_use_and_rank() {
    let site = Site::empty().await;
    site.world.fill_shares().await;
    let all = site.json("/shares/?json").await;
    insta::assert_json_snapshot!("shares", all, {".shares[].part" => insta::rounded_redaction(4), ".shares[].vos[].part" => insta::rounded_redaction(4),
        ".shares[].difference" => insta::rounded_redaction(4), ".shares[].ratio" => insta::rounded_redaction(4), ".shares[].target" => insta::rounded_redaction(4)});
    let one = site.json("/shares/?json&share=Analysis").await;
    assert_eq!(one["shares"].as_array().unwrap().len(), 1);
    let ranks = |v: &Value| v["shares"].as_array().unwrap().iter().filter_map(|s| s["rank"].as_i64()).collect::<Vec<_>>();
    assert_eq!(ranks(&all).len(), 2, "shares with waiting jobs: {all}");
}

#[tokio::test]
async fn a_system_without_shares_says_how_to_make_one() {
    let site = Site::empty().await;
    let page = site.html("/shares/").await;
    assert!(page.contains("No share is configured") && page.contains("panda share set"), "{page}");
    let all = site.json("/shares/?json").await;
    assert_eq!(
        (&all["running"], &all["shares"][0]["name"], &all["shares"][0]["difference"]),
        (&json!(0), &json!("Undefined"), &Value::Null)
    );
    for path in ["/shares/?share=Nowhere", "/shares/?share=%3Cscript%3Ealert(1)%3C%2Fscript%3E"] {
        let got = site.ask(path, "text/html").await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
        assert!(got.text.contains("panda share list"), "{}", got.text);
        check(path, &got.text);
    }
    let filled = Site::new().await;
    let page = filled.html("/shares/").await;
    assert!(page.contains("with jobs of shares that are not there or have parts: default"), "{page}");
}

async fn held() -> Site {
    let site = Site::new().await;
    site.world.fill_shares().await;
    site.world.fill_holds(site.ids.job_running).await;
    site
}

#[tokio::test]
async fn holds_are_shown_with_reason_canary_and_rate() {
    let site = held().await;
    let page = site.html("/holds/").await;
    let job = site.ids.job_running;
    for words in [
        "the whole server".to_owned(),
        "new disks on Monday".to_owned(),
        "<span class=\"tag hold\">drained</span>".to_owned(),
        "<a href=\"/queue/DISK_FULL/\">DISK_FULL</a>".to_owned(),
        "the storage is full &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;".to_owned(),
        "<span class=\"tag bad\">braked</span>".to_owned(),
        format!("2 failed; <a href=\"/job/{job}/\">job/{job}</a> is under way"),
        "machine node&lt;b&gt;7&lt;/b&gt;".to_owned(),
        "the next may go at 2026-01-02 03:14:05".to_owned(),
        "9 of 10 jobs that ended in 60 minutes failed".to_owned(),
        "<code>panda queue release LOCAL</code>".to_owned(),
        "Failed in 6 h".to_owned(),
        "3 of 9 (33 %)".to_owned(),
        "aria-current=\"page\">Holds</a>".to_owned(),
    ] {
        assert!(page.contains(&words), "`{words}` is missing in {page}");
    }
    let all = site.json("/holds/?json").await;
    insta::assert_json_snapshot!("holds", all["holds"], {"[].job_id" => "[id]"});
}

#[tokio::test]
async fn caps_and_throttles_say_what_they_hold() {
    let site = held().await;
    let page = site.html("/holds/").await;
    for words in [
        "user alice",
        "VO amber",
        "throttle.limits",
        "NRUNNINGCAP_Simulation",
        "its cap is 2. Jobs are made again",
        "/shares/?share=Simulation",
    ] {
        assert!(page.contains(words), "`{words}` is missing in {page}");
    }
    let limits = site.json("/holds/?json").await["limits"].clone();
    assert_eq!((&limits["caps"][0]["whose"], &limits["caps"][0]["name"]), (&json!("user"), &json!("alice")));
    assert_eq!((&limits["throttles"][0]["running_cap"], &limits["throttles"][0]["running"]), (&json!(2), &json!(3)));
    assert_eq!(limits["settings"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn tasks_on_hold_are_grouped_by_what_holds_them() {
    let site = held().await;
    let all = site.json("/holds/?json").await;
    insta::assert_json_snapshot!("held_tasks", all["tasks"], {".groups[].examples[]" => "[id]"});
    let page = site.html("/holds/").await;
    let link = "/holds/?stage=cap&amp;reason=user%20%60bob%60%20has%20%23%20jobs%20running;%20the%20cap%20lets%20jobs%20be%20made%20below%20%23.%20They%20are%20made%20again%20when%20some%20have%20ended";
    assert!(page.contains(&format!("<a class=\"count hold\" href=\"{link}\">3</a>")), "{page}");
    assert!(page.contains("the data set &lt;i&gt;user.bob.raw&lt;/i&gt; is not there yet"), "{page}");
    let link = link.replace("&amp;", "&");
    let first = site.html(&format!("{link}&limit=2")).await;
    assert!(
        first.contains("user.bob.capped.2/") && first.contains("user.bob.capped.1/") && !first.contains("user.bob.capped.0/"),
        "{first}"
    );
    let chosen = site.json(&format!("{link}&limit=2&json")).await["tasks"]["chosen"].clone();
    let last = chosen[1]["jeditaskid"].as_i64().unwrap();
    assert!(first.contains(&format!("before={last}")) && first.contains("rel=\"next\""), "{first}");
    let second = site.html(&format!("{link}&limit=2&before={last}")).await;
    assert!(second.contains("user.bob.capped.0/") && !second.contains("rel=\"next\""), "{second}");
    let none = site.html("/holds/?stage=nothing").await;
    assert!(none.contains("None any more"), "{none}");
}

#[tokio::test]
async fn an_empty_system_holds_nothing() {
    let site = Site::empty().await;
    let page = site.html("/holds/").await;
    for words in ["Nothing holds the dispatch", "No task is on hold", "No cap is set", "No throttled share has jobs"] {
        assert!(page.contains(words), "`{words}` is missing in {page}");
    }
    let none = json!({
        "holds": [], "limits": {"caps": [], "more_caps": 0, "throttles": [], "settings": []},
        "tasks": {"states": {}, "looked_at": 0, "complete": true, "groups": []},
    });
    assert_eq!(site.json("/holds/?json").await, none);
    let got = site.ask("/holds/?reason=%3Cscript%3Ealert(1)%3C%2Fscript%3E", "text/html").await;
    check("/holds/", &got.text);
    assert_eq!(site.ask(&format!("/holds/?reason={}", "x".repeat(201)), "text/html").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn retention_shows_what_is_kept_and_what_goes_next() {
    let site = Site::new().await;
    site.world.fill_retention().await;
    let page = site.html("/retention/").await;
    for words in [
        "<th scope=\"row\">sandboxes</th><td>amber</td><td class=\"num\">1</td><td class=\"num\">12.3 MB</td>",
        "sources.&lt;b&gt;1&lt;/b&gt;.tar.gz",
        "<th scope=\"row\">live logs</th>",
        "30 days",
        "2025-12-23 03:04:05",
        "VO amber: 365",
        "<th scope=\"row\">tasks</th><td class=\"num\">6</td><td class=\"num\">0</td>",
        "storage AMBER_GRID_DISK",
        "it does not answer",
        "aria-current=\"page\">Retention</a>",
    ] {
        assert!(page.contains(words), "`{words}` is missing in {page}");
    }
    assert!(!page.contains("data-live"), "looking through folders is not done again and again");
    let all = site.json("/retention/?json").await;
    insta::assert_json_snapshot!("retention_due", all["due"]);
    assert_eq!(all["rows"], json!([{"table": "tasks", "active": 6, "archived": 0}, {"table": "jobs", "active": 13, "archived": 0}]));
    for key in ["at", "kept", "due", "rows", "archive", "disks", "settings"] {
        assert!(!all[key].is_null(), "{key}");
    }
    let sandboxes = all["kept"].as_array().unwrap().iter().find(|k| k["class"] == "sandboxes").unwrap();
    assert_eq!(
        (&sandboxes["rows"], &sandboxes["keep_days"], &sandboxes["setting"]),
        (&json!(2), &json!(30), &json!("retention.sandbox_days"))
    );
}

#[tokio::test]
async fn an_empty_system_keeps_nothing() {
    let site = Site::empty().await;
    let page = site.html("/retention/").await;
    for words in ["Nothing is due.", "Nothing is kept yet.", "archive.keep_days"] {
        assert!(page.contains(words), "`{words}` is missing in {page}");
    }
    let all = site.json("/retention/?json").await;
    assert_eq!((&all["kept"], &all["due"], &all["archive"]), (&json!([]), &json!([]), &json!([])));
}
