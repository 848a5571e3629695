//! Methods of our own namespace.

pub mod whoami {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod pilot_wait {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod job_log {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod job_why {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod task_why {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod task_outputs {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod dataset_add {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod dataset_list {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod dataset_show {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod queue_add {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod queue_list {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod queue_show {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod queue_set {
    //! Not served yet.
    pub use crate::unserved::handle;
}
