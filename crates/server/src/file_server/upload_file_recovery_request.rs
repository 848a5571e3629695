//! `POST file_server/upload_file_recovery_request`. Not served yet.

pub use crate::unserved::handle;
