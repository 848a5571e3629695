//! The commands on a task (`spec/engine.md` section 4.3).
