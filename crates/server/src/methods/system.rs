//! Rows of `system`.

use super::{Method, Right, Unknown, handler};
use crate::system;

pub(super) const ROWS: &[Method] = &[
    Method::get("system", "is_alive", Right::ReadOpen, &[], handler!(system::is_alive::handle))
        .about("Null", "Tells that the server answers."),
    Method::get("system", "get_attributes", Right::Read, &[], handler!(system::get_attributes::handle))
        .unknown(Unknown::Kept)
        .about("RequestAttributes", "Shows the request as the server sees it, without anything secret."),
    Method::get("system", "get_voms_attributes", Right::Read, &[], handler!(system::get_voms_attributes::handle))
        .about("Any", "Shows the caller's groups and roles as attributes of a certificate."),
    Method::get("system", "get_user_attributes", Right::Read, &[], handler!(system::get_user_attributes::handle))
        .about("UserAttributes", "Shows the caller's name, groups and roles."),
];
