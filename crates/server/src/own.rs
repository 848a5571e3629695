//! Methods of our own namespace.

pub mod job_log;
pub mod pilot_wait;
pub mod whoami;
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
pub mod queue_list;
pub mod queue_show;
pub mod queue_set {
    //! Not served yet.
    pub use crate::unserved::handle;
}
