//! `panda serve --role ...`

use crate::builder::{Roles, Server};
use crate::cli::{Role, ServeArgs};
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;

/// Runs some roles. Never migrates: several processes share the database, and one verb changes it.
pub async fn run(context: &Context, args: &ServeArgs) -> Result<u8, Failure> {
    let has = |role| args.role.contains(&role);
    let roles = Roles { server: has(Role::Server), engine: has(Role::Engine), monitor: has(Role::Monitor), worker: false };
    let running = Server::builder(context.config.clone()).roles(roles).migrate(false).start().await?;
    screen::line(format!("ready: {}", running.url()));
    running.until_signal().await?;
    Ok(exit::OK)
}
