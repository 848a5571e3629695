//! `GET metaconfig/get_resource_types`: kinds of slots by cores and memory.
//!
//! The kinds are those of `panda_core::queue::resource_type`; a test holds the
//! two together.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::queue::HIMEM_MB_PER_CORE;
use serde_json::{Value, json};

/// A list of `{"resource_name", "mincore", "maxcore", "minrampercore", "maxrampercore"}`.
pub async fn handle(_: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(list()))
}

fn list() -> Value {
    let kind = |name: &str, cores: (i64, Option<i64>), ram: (Option<i64>, Option<i64>)| json!({"resource_name": name, "mincore": cores.0, "maxcore": cores.1, "minrampercore": ram.0, "maxrampercore": ram.1});
    let (low, high) = ((None, Some(HIMEM_MB_PER_CORE)), (Some(HIMEM_MB_PER_CORE + 1), None));
    Value::Array(vec![
        kind("SCORE", (1, Some(1)), low),
        kind("SCORE_HIMEM", (1, Some(1)), high),
        kind("MCORE", (2, None), low),
        kind("MCORE_HIMEM", (2, None), high),
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use panda_core::queue::resource_type;

    #[test]
    fn the_core_agrees() {
        for kind in list().as_array().unwrap() {
            let cores = kind["mincore"].as_i64().unwrap();
            let ram = kind["minrampercore"].as_i64().unwrap_or(1) * cores;
            assert_eq!(resource_type(cores, ram), kind["resource_name"]);
        }
    }
}
