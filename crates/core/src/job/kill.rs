//! What a kill does to a job (`spec/engine.md` section 3.5).
