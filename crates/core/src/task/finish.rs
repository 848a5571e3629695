//! How a task ends (`spec/engine.md` section 5.6).
