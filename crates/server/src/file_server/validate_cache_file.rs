//! `POST file_server/validate_cache_file`: was this sandbox uploaded before?
//!
//! The client compares `message` with `FOUND:<host>:<file>`; the host carries no
//! port, since the client puts its own behind it (client sheet 4.1).

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use serde_json::Value;

/// `FOUND:<host>:<file>`, or a refusal `NOTFOUND`.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let owner = ctx.caller()?;
    let checksum = args.take_text("checksum").unwrap_or_default();
    let found = ctx.state.files.find(owner, args.id("file_size"), checksum.trim()).await;
    match found.map_err(|e| Refusal::new(e.to_string()))? {
        Some(name) => Ok(Answer::said(format!("FOUND:{}:{name}", ctx.host()), Value::Null)),
        None => Err(Refusal::new("NOTFOUND")),
    }
}
