//! `panda token`: works on the data folder, no server is needed.

use std::io::Write as _;

use panda_access::Role;
use panda_access::dev::TokenRequest;
use serde_json::json;

use crate::cli::TokenArgs;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::{screen, session, submit};

/// Prints one raw token, without a newline at its end: clients take the file as it is.
pub fn run(context: &Context, args: &TokenArgs) -> Result<u8, Failure> {
    let config = &context.config;
    let lifetime = i64::try_from(submit::seconds(&args.lifetime, 1)?).map_err(|_| Failure::usage("such a lifetime is too long"))?;
    let request = TokenRequest {
        user: args.user.clone().unwrap_or_else(|| config.default_user()),
        vo: args.vo.clone().unwrap_or_else(|| config.default_vo()),
        role: args.role.as_deref().map(Role::from_name),
        name: args.name.clone(),
        email: None,
        everywhere: args.everywhere,
        lifetime_s: Some(lifetime),
    };
    let token = sign(context, &request)?;
    if context.json {
        screen::json(&json!({ "token": token, "user": request.user, "vo": request.vo, "role": args.role, "lifetime_s": lifetime }));
    } else {
        screen::raw(token.as_bytes());
        let _ = std::io::stdout().flush();
    }
    Ok(exit::OK)
}

/// Signs; what cannot be asked for is a mistake of the caller.
pub(super) fn sign(context: &Context, request: &TokenRequest) -> Result<String, Failure> {
    let failed = |error: panda_access::dev::IssuerError| match error {
        panda_access::dev::IssuerError::Request(_) => {
            let vos = &context.config.vos;
            let failure = Failure::usage(error.to_string());
            if vos.is_empty() { failure } else { failure.hint(format!("configured here: {}", vos.join(", "))) }
        }
        other => Failure::from(anyhow::Error::new(other)),
    };
    session::issuer(&context.config)?.sign(request).map_err(failed)
}
