//! `panda env`: what the official client reads (`spec/client.md` section 1).

use panda_access::dev::TokenRequest;
use panda_client::BaseUrl;
use serde_json::{Map, Value};

use super::token;
use crate::cli::EnvArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::screen;
use crate::session;
use crate::submit::quoted;

/// Prints `export` lines; with them and the client's own set-up, `prun` and `pbook` work.
pub fn run(context: &Context, args: &EnvArgs) -> Result<u8, Failure> {
    let base = BaseUrl::parse(&session::server_address(&context.config))?;
    let vo = args.vo.clone().unwrap_or_else(|| context.config.default_vo());
    let user = args.user.clone().unwrap_or_else(|| context.config.default_user());
    // The path is needed: without it prun names no source address, and other tools fail.
    let url = format!("{}/server/panda", base.root());
    let mut variables = vec![
        ("PANDA_URL", url.clone()),
        ("PANDA_URL_SSL", url.clone()),
        ("PANDACACHE_URL", url),
        // Any value: else the client looks the host up and puts another name of it into every address.
        ("PANDA_BEHIND_REAL_LB", "1".to_owned()),
        ("PANDA_AUTH", "oidc".to_owned()),
        ("PANDA_AUTH_VO", vo.clone()),
    ];
    if base.is_loopback() {
        let request = TokenRequest { user, vo, ..TokenRequest::default() };
        variables.push(("PANDA_AUTH_ID_TOKEN", token::sign(context, &request)?));
    } else {
        screen::note(format!("note: {} is another machine, so no token is made here; set PANDA_AUTH_ID_TOKEN to yours", base.root()));
    }
    if context.json {
        screen::json(&Value::Object(
            variables.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>(),
        ));
    } else {
        for (name, value) in variables {
            screen::line(format!("export {name}={}", quoted(&value)));
        }
    }
    Ok(exit::OK)
}
