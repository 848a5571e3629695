//! Methods of `system`.

pub mod get_attributes;
pub mod get_user_attributes;
pub mod get_voms_attributes;
pub mod is_alive;
