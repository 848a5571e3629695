//! Files that the server keeps itself, beyond receiving and sending them: requests to make lost files again.

pub mod checkpoint;
pub mod recovery;
pub mod register;
