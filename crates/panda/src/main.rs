//! The program `panda`.
fn main() {}
