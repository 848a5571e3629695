//! Methods of `statistics`.

pub mod active_job_stats_by_site {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod active_job_detailed_stats_by_site {
    //! Not served yet.
    pub use crate::unserved::handle;
}
