//! Methods of `task`.

pub mod submit {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_status {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_details {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_task_parameters {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_job_ids {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_tasks_detailed_info_since {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_tasks_modified_since {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_datasets_and_files {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_detailed_info {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_parent_detailed_info {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_job_descriptions {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod kill {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod finish {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod retry {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod pause {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod resume {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod reload_input {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod reactivate {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod increase_attempts {
    //! Not served yet.
    pub use crate::unserved::handle;
}
