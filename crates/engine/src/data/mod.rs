//! A VO's own data management: data sets that the catalogue does not have are asked of its plug-in and copied, outputs are registered with it; and
//! what other plug-ins are told.
//!
//! Plug-ins are called beside the loops and never inside a batch. Whatever one does, what needs it waits with a reason that names it, and nothing
//! falls back to the catalogue alone.

mod copy;
pub mod effect;
pub mod fetch;
