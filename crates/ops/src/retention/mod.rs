//! What has ended leaves the hot tables, and later the system: the archive, files that nobody needs any more, old records. How long what is
//! kept are settings, for each VO and label.
//!
//! Everything here works in bounded steps that can be run again at any moment. What is removed leaves a line in the journal.

pub mod shift;

use panda_store::query::task::TaskRow;

use crate::clock;

/// Area of the journal's lines.
pub const AREA: &str = "retention";

/// Why nothing can be done with an archived task.
#[must_use]
pub fn archived(t: &TaskRow) -> String {
    let ended = clock::text(t.ended_us.unwrap_or(t.state_us));
    format!("task {} ended at {ended} and is in the archive: it can be looked at, not taken up again; submit it again instead", t.id)
}
