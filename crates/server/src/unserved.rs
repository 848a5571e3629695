//! The handler of methods whose operation does not exist yet: it says so.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// Refuses, naming the method.
pub async fn handle(_: Ctx, args: Args) -> Result<Answer, Refusal> {
    let method = args.method();
    Err(Refusal::new(format!("{}/{} is not served by this version", method.module, method.name)))
}
