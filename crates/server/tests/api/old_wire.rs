//! The old pilot wire in the encodings of its pilots.

use crate::support::{get, gzip, post, server};
use insta::assert_snapshot;
use serde_json::json;

#[tokio::test]
async fn answers_are_objects_of_one_line() {
    let s = server().await;
    assert_snapshot!(get("/server/panda/isAlive").send(&s).await.line(), @"200 alive=yes");
    let types = post("/server/panda/getResourceTypes").header("content-type", "application/json").body(gzip(b"{}")).send(&s).await;
    assert_eq!((types.bytes.first(), types.bytes.last()), (Some(&b'{'), Some(&b'}')));
    let list: serde_json::Value = serde_json::from_str(types.json()["ResourceTypes"].as_str().unwrap()).unwrap();
    assert_eq!(list[0]["resource_name"], "SCORE");
    assert_snapshot!(
        post("/server/panda/getEventRanges").by("pilot").body("pandaID=1&jobsetID=2&taskID=3&nRanges=5").send(&s).await.line(),
        @r#"200 {"StatusCode":0,"eventRanges":[]}"#
    );
    assert_snapshot!(
        post("/server/panda/updateEventRanges").by("pilot").json(&json!({"eventRanges": "[{}, {}]"})).send(&s).await.line(),
        @r#"200 {"StatusCode":0,"Returns":[false,false],"Commands":{}}"#
    );
}

#[tokio::test]
async fn refusals_have_codes() {
    let s = server().await;
    assert_snapshot!(
        post("/server/panda/getJob").body("siteName=Q").send(&s).await.line(),
        @r#"200 {"StatusCode":60,"errorDialog":"SSL secure connection is required"}"#
    );
    assert_snapshot!(
        post("/server/panda/updateJob").by("alice").body("jobId=1&state=running").send(&s).await.line(),
        @r#"200 {"StatusCode":60,"errorDialog":"production or pilot role required"}"#
    );
    assert_snapshot!(
        post("/server/panda/updateJob").by("pilot").body("state=running").send(&s).await.line(),
        @r#"200 {"StatusCode":50,"errorDialog":"Argument error: missing a required argument: 'job_id'"}"#
    );
    assert_snapshot!(
        post("/server/panda/getJob").by("bad").body("siteName=Q").send(&s).await.line(),
        @"403 ERROR : Token authentication failed. Invalid token. signature is wrong"
    );
    assert_snapshot!(post("/server/panda/putFile").by("pilot").send(&s).await.line(), @"403 ERROR : method putFile is forbidden");
    assert_snapshot!(
        post("/server/panda/getJob").by("pilot").header("content-type", "application/json").body("{").send(&s).await.line(),
        @"400 ERROR : received invalid JSON : EOF while parsing an object at line 1 column 1"
    );
    assert_snapshot!(
        get("/server/panda/get_access_token?client_name=pilot_server&token_key=K").by("pilot").send(&s).await.line(),
        @r#"200 {"StatusCode":90,"errorDialog":"'token' not found for pilot_server"}"#
    );
}
