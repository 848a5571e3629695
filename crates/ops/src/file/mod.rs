//! Files that the server keeps itself, beyond receiving and sending them: sweeping, and requests to make lost files again.

pub mod recovery;
pub mod sweep;
