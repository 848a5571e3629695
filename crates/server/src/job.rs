//! Methods of `job`.

pub mod submit {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_status {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_description {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_description_incl_archive {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_metadata_for_analysis_jobs {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod kill {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod set_debug_mode {
    //! Not served yet.
    pub use crate::unserved::handle;
}
