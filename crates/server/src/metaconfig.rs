//! Methods of `metaconfig`.

pub mod get_banned_users;
pub mod get_resource_types;
pub mod get_site_specs;
