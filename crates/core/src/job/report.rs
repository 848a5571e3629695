//! What a pilot's status update does to a job and which command goes back (`spec/engine.md` section 3.3).
