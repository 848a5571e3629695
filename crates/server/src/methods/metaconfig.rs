//! Rows of `metaconfig`.

use super::{Method, Right, handler};
use crate::args::{Default, Kind, optional};
use crate::metaconfig;

pub(super) const ROWS: &[Method] = &[
    Method::get("metaconfig", "get_banned_users", Right::Read, &[], handler!(metaconfig::get_banned_users::handle))
        .about("BannedUsers", "Users that are locked out."),
    Method::get(
        "metaconfig",
        "get_site_specs",
        Right::ReadOpen,
        &[optional("type", Kind::Text).or(Default::Text("analysis"))],
        handler!(metaconfig::get_site_specs::handle),
    )
    .about("SiteSpecs", "Queues and their settings."),
    Method::get("metaconfig", "get_resource_types", Right::ReadOpen, &[], handler!(metaconfig::get_resource_types::handle))
        .about("ResourceTypes", "Kinds of slots by cores and memory."),
];
