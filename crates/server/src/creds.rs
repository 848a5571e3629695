//! Methods of `creds`.

pub mod set_user_secrets {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_user_secrets {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_key_pair {
    //! Not served yet.
    pub use crate::unserved::handle;
}
pub mod get_proxy {
    //! Not served yet.
    pub use crate::unserved::handle;
}
