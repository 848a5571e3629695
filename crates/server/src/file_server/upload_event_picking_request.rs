//! `POST file_server/upload_event_picking_request`: events by run and number, which an index of events would find.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// Most bytes of a request, as in the original.
const MAX_BYTES: usize = 10 << 20;

/// A refusal: there is no index of events here. A list that cannot be read is refused for that first.
pub async fn handle(_: Ctx, args: Args) -> Result<Answer, Refusal> {
    let list = args.text("run_event_list").unwrap_or_default();
    if list.len() > MAX_BYTES {
        return Err(Refusal::new(format!("ERROR: the list has more than {} MB", MAX_BYTES >> 20)));
    }
    let with_guid = args.flag("include_guids");
    for (n, line) in list.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers = words.iter().take(2).filter(|w| w.bytes().all(|b| b.is_ascii_digit())).count();
        if numbers < 2 || words.len() > 2 + usize::from(with_guid) {
            return Err(Refusal::new(format!("ERROR: line {} is not `run event{}`", n + 1, if with_guid { " guid" } else { "" })));
        }
    }
    Err(Refusal::new("ERROR: this server has no index of events that finds them; submit a task over the data sets that hold them"))
}
