//! `GET system/get_user_attributes`: who the caller is.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_access::Principal;
use serde_json::json;

/// Names, groups and roles; the message says the same in lines.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    let who = ctx.caller()?;
    let (raw, fqans, groups) = (who.dn_raw(), who.fqans(), working_groups(who));
    let primary = groups.last();
    let message = format!(
        "User DN (raw): {raw}\nUser DN (bare): {}\nUser DN (clean): {}\nEmail address: {}\nFQANs: {fqans:?}\nProduction user: {}\n\
         Production working groups: {groups:?}\nPrimary production working group: {}\n",
        who.name,
        who.name,
        who.email.as_deref().unwrap_or("None"),
        if who.is_production() { "True" } else { "False" },
        primary.map_or("None", String::as_str),
    );
    let data = json!({
        "user_dn_raw": raw,
        "user_dn_clean": who.name,
        "fqans": fqans,
        "is_production_user": who.is_production(),
        "production_working_groups": groups,
        "primary_working_group": primary,
    });
    Ok(Answer::said(message, data))
}

/// Groups of the form `<vo>/<group>/production` give the working group.
fn working_groups(who: &Principal) -> Vec<String> {
    let group = |name: &String| {
        let mut parts = name.trim_matches('/').split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(group), Some(role), None) if role.trim_start_matches("Role=") == "production" => Some(group.to_owned()),
            _ => None,
        }
    };
    who.groups.iter().filter_map(group).collect()
}
