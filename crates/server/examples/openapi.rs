//! Prints the API's description: `cargo run -p panda-server --example openapi > crates/server/openapi.json`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{:#}", panda_server::openapi::document())
}
