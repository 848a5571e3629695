//! `GET system/get_voms_attributes`: groups and roles of the caller as attributes of a certificate.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use serde_json::Value;

/// `{GRST_CRED_n: "VOMS <attribute>"}` and the same as text.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    let attributes = super::get_attributes::attributes(ctx.caller()?);
    let mut text = String::new();
    super::get_attributes::write(&mut text, &attributes);
    Ok(Answer::said(text, Value::Object(attributes)))
}
