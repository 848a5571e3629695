//! `panda retention`

use serde_json::Value;

use super::view;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session::Session;

/// What is kept, or what would be removed now.
pub async fn run(context: &Context, due: bool) -> Result<u8, Failure> {
    let session = Session::open(context)?;
    let data = session.client.own_get("retention/list", &[("due", due)]).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let lines = data.as_array().map_or(&[][..], Vec::as_slice);
    let row = |line: &Value, keys: &[&str]| keys.iter().map(|k| view::text(line, k)).collect::<Vec<_>>();
    if due {
        let rows = lines.iter().map(|l| row(l, &["class", "vo", "n", "bytes", "oldest"])).collect();
        screen::table(&["WHAT", "VO", "NUMBER", "BYTES", "OLDEST"], rows, "nothing is due");
    } else {
        let rows = lines.iter().map(|l| row(l, &["class", "vo", "rows", "bytes", "oldest", "keep_days", "counts_from", "next", "setting"]));
        let head = ["WHAT", "VO", "NUMBER", "BYTES", "OLDEST", "DAYS", "COUNTED FROM", "NEXT GOES", "SETTING"];
        screen::table(&head, rows.collect(), "nothing is kept yet");
    }
    Ok(exit::OK)
}
