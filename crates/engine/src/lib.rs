//! The loops that move tasks and jobs on.
