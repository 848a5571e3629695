//! Rows of `statistics`.

use super::{Method, Right, handler};
use crate::statistics;

pub(super) const ROWS: &[Method] = &[
    Method::get("statistics", "active_job_stats_by_site", Right::ReadOpen, &[], handler!(statistics::active_job_stats_by_site::handle))
        .about("JobStats", "Jobs by queue and status."),
    Method::get(
        "statistics",
        "active_job_detailed_stats_by_site",
        Right::ReadOpen,
        &[],
        handler!(statistics::active_job_detailed_stats_by_site::handle),
    )
    .about("DetailedJobStats", "Jobs by queue, resource type, label and status."),
];
