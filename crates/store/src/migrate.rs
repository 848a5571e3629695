//! Applies the schema steps; numbered, recorded, restartable, forward only.
