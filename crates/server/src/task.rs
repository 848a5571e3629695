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
pub mod finish;
pub mod increase_attempts;
pub mod kill;
pub mod pause;
pub mod reactivate;
pub mod reload_input;
pub mod resume;
pub mod retry;

use crate::answer::Answer;
use panda_ops::task::command;
use serde_json::json;

/// What a command answers: its code as data, success when it was taken.
fn answer(given: command::Answer) -> Answer {
    let success = given.taken();
    Answer::Envelope { success, message: given.message, data: json!(given.code).into(), command: None }
}
