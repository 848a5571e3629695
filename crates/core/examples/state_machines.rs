//! Prints `docs/state-machines.md` from the transition tables.

fn main() {
    print!("{}", panda_core::machine::render::page());
}
