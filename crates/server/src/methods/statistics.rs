//! Rows of `statistics`.

use super::{Method, Right, handler};
use crate::args::{Default, Kind, Param, optional};
use crate::statistics;

const WINDOW: &[Param] = &[optional("time_window", Kind::Int)];

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
    Method::get(
        "statistics",
        "job_stats_by_cloud",
        Right::ReadOpen,
        &[optional("type", Kind::Text).or(Default::Text("production"))],
        handler!(statistics::job_stats_by_cloud::handle),
    )
    .about("JobStats", "Jobs of production or analysis by cloud and status, with those that ended within 12 hours."),
    Method::get(
        "statistics",
        "production_job_stats_by_cloud_and_processing_type",
        Right::ReadOpen,
        &[],
        handler!(statistics::production_job_stats_by_cloud_and_processing_type::handle),
    )
    .about("Any", "Jobs of production by cloud, processing type and status, with those that ended within 12 hours."),
    Method::get(
        "statistics",
        "job_stats_by_site_and_resource_type",
        Right::ReadOpen,
        WINDOW,
        handler!(statistics::job_stats_by_site_and_resource_type::handle),
    )
    .about("Any", "Jobs by queue, resource type and status, with those that ended within `time_window` minutes."),
    Method::get(
        "statistics",
        "job_stats_by_site_share_and_resource_type",
        Right::ReadOpen,
        WINDOW,
        handler!(statistics::job_stats_by_site_share_and_resource_type::handle),
    )
    .about("Any", "Jobs by queue, label, resource type and status, with those that ended within `time_window` minutes."),
];
