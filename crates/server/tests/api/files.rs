//! Uploads, and what is served without identity.

use crate::support::{get, gzip, post, server};
use insta::assert_snapshot;
use serde_json::json;

const UPLOAD: &str = "/api/v1/file_server/upload_cache_file";
const VALIDATE: &str = "/api/v1/file_server/validate_cache_file";

/// Files that are kept, and temporary ones.
fn left(s: &crate::support::Server) -> (usize, usize) {
    let cache = s.folder.path().join("data/cache");
    let count = |path: &std::path::Path| std::fs::read_dir(path).unwrap().filter(|e| e.as_ref().unwrap().path().is_file()).count();
    (count(&cache), count(&cache.join("tmp")))
}

#[tokio::test]
async fn a_sandbox_goes_up_and_is_found_again() {
    let s = server().await;
    let sandbox = gzip(b"the sandbox");
    let crc = crc32fast::hash(b"the sandbox");
    let query = json!({"file_size": sandbox.len(), "checksum": crc});
    assert_snapshot!(
        post(VALIDATE).by("alice").json(&query).send(&s).await.line(),
        @r#"200 {"success": false, "message": "NOTFOUND", "data": null}"#
    );
    assert_snapshot!(
        post(UPLOAD).by("alice").file("/home/alice/jobO.1-2.tar.gz", &sandbox).send(&s).await.line(),
        @r#"200 {"success": true, "message": "", "data": null}"#
    );
    assert_snapshot!(
        post(VALIDATE).by("alice").json(&query).send(&s).await.line(),
        @r#"200 {"success": true, "message": "FOUND:panda.example:jobO.1-2.tar.gz", "data": null}"#
    );
    // Somebody else's file is not found, and the checksum may come as a text.
    assert!(post(VALIDATE).by("bob").json(&query).send(&s).await.text().contains("NOTFOUND"));
    let texts = json!({"file_size": sandbox.len(), "checksum": crc.to_string()});
    assert!(post(VALIDATE).by("alice").json(&texts).send(&s).await.text().contains("FOUND:panda"));
    let back = get("/cache/jobO.1-2.tar.gz").send(&s).await;
    assert_eq!((back.status.as_u16(), back.bytes), (200, sandbox.clone()));
    assert_snapshot!(
        post(UPLOAD).by("alice").file("jobO.1-2.tar.gz", b"other").send(&s).await.line(),
        @r#"200 {"success": false, "message": "ERROR: cannot overwrite file", "data": null}"#
    );
    assert_eq!(get("/cache/jobO.1-2.tar.gz").send(&s).await.bytes, sandbox);
    assert!(post(UPLOAD).by("bob").file("x.__ow__", b"bob").send(&s).await.text().contains("true"));
    assert!(post(UPLOAD).by("alice").file("x.__ow__", b"not hers").send(&s).await.text().contains("cannot overwrite"));
    for content in [b"one".as_slice(), b"two"] {
        assert!(post(UPLOAD).by("alice").file("y.__ow__", content).send(&s).await.text().contains("true"));
        assert_eq!(get("/cache/y.__ow__").send(&s).await.bytes, content);
    }
    // Nothing temporary is left.
    assert_eq!(left(&s), (3, 0));
}

#[tokio::test]
async fn touch_and_delete() {
    let s = server().await;
    post(UPLOAD).by("alice").file("a.tar.gz", b"x").send(&s).await;
    let touch =
        async |name| post("/api/v1/file_server/touch_cache_file").by("alice").json(&json!({"file_name": name})).send(&s).await.line();
    assert_snapshot!(touch("a.tar.gz").await, @r#"200 {"success": true, "message": "", "data": null}"#);
    assert_snapshot!(
        touch("b.tar.gz").await,
        @r#"200 {"success": false, "message": "the file is not here; upload it first", "data": null}"#
    );
    assert!(touch("../../etc/passwd").await.contains("false"));
    let delete = post("/api/v1/file_server/delete_cache_file").by("alice").json(&json!({"file_name": "a.tar.gz"}));
    assert!(delete.send(&s).await.text().contains("true"));
    assert_eq!(get("/cache/a.tar.gz").send(&s).await.status, 200);
}

#[tokio::test]
async fn refused_uploads() {
    let s = server().await;
    assert_snapshot!(
        post(UPLOAD).file("a.tar.gz", b"x").send(&s).await.line(),
        @r#"200 {"success": false, "message": "SSL secure connection is required", "data": null}"#
    );
    assert_snapshot!(
        post(UPLOAD).by("alice").file("a b", b"x").send(&s).await.line(),
        @"400 ERROR : the file name is not allowed; use letters, digits and . _ - + : without a leading dot"
    );
    for name in [".hidden", "..", "x/..", "a%2fb", "a;b"] {
        assert_eq!(post(UPLOAD).by("alice").file(name, b"x").send(&s).await.status, 400, "{name}");
    }
    assert_snapshot!(
        post(UPLOAD).by("alice").file("big.tar.gz", &vec![0; (10 << 20) + 1]).send(&s).await.line(),
        @"413 ERROR : the file big.tar.gz has more than 10 MB, which is the limit for such a name"
    );
    assert!(post(UPLOAD).by("alice").file("sources.big.tar.gz", &vec![0; (10 << 20) + 1]).send(&s).await.text().contains("true"));
    assert_snapshot!(
        post(UPLOAD).by("alice").json(&json!({})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "Argument error: missing a required argument: 'file'", "data": null}"#
    );
    let multipart = || post(UPLOAD).by("alice").header("content-type", "multipart/form-data; boundary=B");
    for broken in ["", "--B", "--B\r\n\r\n", "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nno end"] {
        let reply = multipart().body(broken).send(&s).await;
        assert_eq!(reply.status, 400, "{broken:?}: {}", reply.line());
    }
    assert_snapshot!(
        post(UPLOAD).by("alice").header("content-type", "multipart/form-data").body("x").send(&s).await.line(),
        @"400 ERROR : the multipart body names no boundary in its Content-Type"
    );
    assert_eq!(left(&s), (1, 0), "only the one that was accepted is there");
}

#[tokio::test]
async fn a_log_gets_an_address() {
    let s = server().await;
    assert!(post("/api/v1/file_server/upload_jedi_log").by("alice").file("l", b"x").send(&s).await.text().contains("role required"));
    assert_snapshot!(
        post("/api/v1/file_server/upload_jedi_log").by("prod").file("l.txt", b"x").send(&s).await.line(),
        @r#"200 {"success": true, "message": "", "data": "http://panda.example:25080/cache/l.txt"}"#
    );
}

#[tokio::test]
async fn open_documents() {
    let s = server().await;
    let one = get("/cache/schedconfig/Q1.all.json").send(&s).await.json();
    assert_eq!((&one["nickname"], &one["state"], &one["astorages"]["pw"]), (&json!("Q1"), &json!("ACTIVE"), &json!(["S1"])));
    assert_eq!(get("/cache/schedconfig/panda_queues.json").send(&s).await.json()["Q1"], one);
    let storage = get("/cache/ddmendpoints.json").send(&s).await.json()["S1"].clone();
    assert_eq!((&storage["arprotocols"]["write_lan"][0]["path"], &storage["is_deterministic"]), (&json!("/storage"), &json!(true)));
    assert_snapshot!(get("/cache/schedconfig/Q2.all.json").send(&s).await.line(), @"404 ERROR : not found");
    assert_snapshot!(
        get("/auth/dev_auth_config.json").send(&s).await.line(),
        @r#"200 {"vo":"dev","base":"http://panda.example:25080"}"#
    );
    assert!(get("/auth/dev%3Aproduction_auth_config.json").send(&s).await.text().contains("dev:production"));
    // A token that is wrong does not matter here: nobody needs one.
    assert_eq!(get("/cache/ddmendpoints.json").by("bad").send(&s).await.status, 200);
    assert_eq!(post("/cache/ddmendpoints.json").send(&s).await.status, 405);
}

#[tokio::test]
async fn scripts() {
    let s = server().await;
    for name in ["runGen-00-00-02", "buildGen-00-00-01", "runMerge-00-00-02", "runcontainer", "runGen"] {
        assert_eq!(get(&format!("/trf/user/{name}")).send(&s).await.bytes, b"\x7fELF the runner", "{name}");
    }
    for name in
        ["/trf/user/runAthena-00-00-12", "/trf/user/", "/trf/x", "/trf/user/runGen-00/../../x", "/trf/user/runGenX", "/trf/user/%72unGen"]
    {
        let reply = get(name).send(&s).await;
        assert_eq!(reply.status, 404, "{name}");
        assert!(reply.text().starts_with("#!/bin/sh\n") && reply.text().ends_with("exit 127\n"), "{name}");
    }
}

#[tokio::test]
async fn path_tricks() {
    let s = server().await;
    std::fs::write(s.folder.path().join("data/secret"), b"secret").unwrap();
    std::fs::create_dir(s.folder.path().join("data/cache/folder")).unwrap();
    std::os::unix::fs::symlink(s.folder.path().join("data/secret"), s.folder.path().join("data/cache/link")).unwrap();
    for path in [
        "/cache/../secret",
        "/cache/..%2fsecret",
        "/cache/%2e%2e/secret",
        "/cache/%2e%2e%2fsecret",
        "/cache/..\\secret",
        "/cache/..%5csecret",
        "/cache//etc/passwd",
        "/cache/%00",
        "/cache/.",
        "/cache/..",
        "/cache/folder",
        "/cache/folder/",
        "/cache/link",
        "/cache/schedconfig/../ddmendpoints.json",
        "/cache/schedconfig/%2e%2e.all.json",
        "/cache/schedconfig/",
        "/auth/../secret",
        "/auth/..%2f..%2fsecret",
    ] {
        let path = path.replace('\\', "%5c");
        let reply = get(&path).send(&s).await;
        assert!(reply.status == 404 || reply.status == 403, "{path}: {}", reply.line());
        assert!(!reply.text().contains("secret\n") && reply.text() != "secret", "{path}");
    }
}
