//! Prints `docs/roles.md` from the table of rights.

fn main() {
    print!("{}", panda_access::table::page::page());
}
