//! Each operation of the system once: check role, decide, batch, wake.
