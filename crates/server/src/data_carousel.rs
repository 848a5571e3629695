//! Methods of `data_carousel`: requests to stage inputs from tape. Here the data management plug-in stages, without requests of its own.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// The four methods: there is no request that they could concern.
pub async fn handle(_: Ctx, args: Args) -> Result<Answer, Refusal> {
    if args.int("request_id").is_none() && args.text("dataset").is_none_or(str::is_empty) {
        return Err(Refusal::new("either request_id or dataset must be provided"));
    }
    Err(Refusal::new(
        "failed to get corresponding request: inputs are staged by the data management plug-in (setting plugin.data), which makes none",
    ))
}
