//! The pages of what the engine does by itself: shares.

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
