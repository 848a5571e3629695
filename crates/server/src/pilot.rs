//! Methods of `pilot`.

pub mod acquire_jobs {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_job_status {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod update_job {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod update_jobs_bulk {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod update_worker_status {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod update_worker_node {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod update_worker_node_gpu {
    //! Not served yet.
    pub use crate::unserved::handle;
}
