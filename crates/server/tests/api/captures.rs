//! Every recorded request of the official clients and pilots passes identity,
//! decoding and binding: what is refused afterwards is refused by an operation.

use crate::support::{Ask, get, gzip, post, server};
use serde_json::Value;

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn form(params: &Value) -> String {
    let mut out = Vec::new();
    for (key, value) in params.as_object().unwrap() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
        out.push(format!("{key}={text}"));
    }
    out.join("&")
}

fn rebuild(request: &Value) -> Ask {
    let path = request["path"].as_str().unwrap();
    let query = request["raw_query"].as_str().filter(|q| !q.is_empty()).map(|q| format!("?{q}")).unwrap_or_default();
    let whole = format!("{path}{query}");
    let mut ask = if request["method"] == "GET" { get(&whole) } else { post(&whole) };
    for name in ["Content-Type", "Accept", "Origin", "User-Agent", "Content-Encoding"] {
        if let Some(value) = request["headers"][name].as_str().filter(|v| !v.starts_with("multipart/")) {
            ask = ask.header(name, value);
        }
    }
    let params = &request["params"];
    match request["encoding"].as_str().unwrap() {
        "json" => ask.body(params.to_string()),
        kind if kind.starts_with("json+gzip") => ask.body(gzip(params.to_string().as_bytes())),
        "multipart" => ask.file(params["file"]["filename"].as_str().unwrap(), b"x"),
        kind if kind.contains("form") => ask.body(form(params)),
        _ => ask,
    }
}

#[tokio::test]
async fn client_requests_pass() {
    let s = server().await;
    let recorded = fixture("client_requests.json");
    let recorded = recorded.as_array().unwrap();
    assert!(recorded.len() > 40, "{}", recorded.len());
    for entry in recorded {
        let request = &entry["request"];
        let path = request["path"].as_str().unwrap();
        let reply = rebuild(request).by("prod").send(&s).await;
        // The capture's own identity provider, and a method that the original has not either.
        if path.starts_with("/oidc") || path.starts_with("/.well-known/") || path == "/api/v1/workflow/get_workflow_details" {
            assert_eq!(reply.status, 403, "{}: {path}: {}", entry["run"], reply.line());
            continue;
        }
        if path.starts_with("/cache/") || path.starts_with("/auth/") {
            assert!(reply.status == 200 || reply.status == 404, "{path}: {}", reply.line());
            continue;
        }
        assert_eq!(reply.status, 200, "{}: {path}: {}", entry["run"], reply.line());
        let text = reply.text();
        // The old wire has answers of its own shapes.
        let message = if path.starts_with("/api/") { reply.json()["message"].as_str().unwrap().to_owned() } else { text.clone() };
        assert!(!text.contains("Argument error") && !text.contains("Type error"), "{}: {path}: {text}", entry["run"]);
        assert!(
            !message.starts_with("Argument error") && !message.starts_with("Type error") && !message.starts_with("expecting"),
            "{}: {path}: {message}",
            entry["run"]
        );
    }
}

#[tokio::test]
async fn pilot_requests_pass() {
    let s = server().await;
    let recorded = fixture("pilot_requests.json");
    let recorded = recorded.as_array().unwrap();
    assert!(recorded.len() > 15, "{}", recorded.len());
    for request in recorded {
        let path = request["path"].as_str().unwrap();
        let (mut ask, body) = (if request["method"] == "GET" { get(path) } else { post(path) }, &request["body"]);
        for name in ["Content-Type", "Accept", "Content-Encoding"] {
            if let Some(value) = request["headers"][name].as_str() {
                ask = ask.header(name, value);
            }
        }
        let ask = match request["encoding"].as_str().unwrap() {
            "gzip(magic)+json" => ask.body(gzip(body.to_string().as_bytes())),
            "none+form" => ask.body(form(body)),
            _ => ask,
        };
        let reply = ask.by("pilot").send(&s).await;
        if path.starts_with("/cache/") || path.starts_with("/trf/") {
            assert!(reply.status == 200 || reply.status == 404, "{path}: {}", reply.line());
            continue;
        }
        assert_eq!(reply.status, 200, "{path}: {}", reply.line());
        let text = reply.text();
        assert!(text.starts_with('{') && text.ends_with('}'), "{path}: {text}");
        assert!(!text.contains("Argument error") && !text.contains("Type error"), "{path}: {text}");
    }
}
