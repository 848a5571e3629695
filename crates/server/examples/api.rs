//! Prints the page of methods: `cargo run -p panda-server --example api > docs/reference/api.md`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    write!(std::io::stdout(), "{}", panda_server::page::page())
}
