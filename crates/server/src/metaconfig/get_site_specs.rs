//! `GET metaconfig/get_site_specs`. Not served yet.

pub use crate::unserved::handle;
