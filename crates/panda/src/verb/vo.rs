//! `panda vo list|show|add|set|check|remove`

use panda_client::idp;
use serde_json::{Map, Value, json};

use super::own::{self, change};
use super::view;
use crate::cli::{VoOptions, VoVerb};
use crate::context::Context;
use crate::failure::{Failure, exit, io};
use crate::screen;
use crate::session::Session;

/// Runs the sub-verb.
pub async fn run(context: &Context, verb: &VoVerb) -> Result<u8, Failure> {
    match verb {
        VoVerb::List => list(context).await,
        VoVerb::Show { name } => own::show(context, "vo/show", &[("name", name)]).await,
        VoVerb::Add { name, options, admins } => {
            let session = Session::open(context)?;
            let known = session.client.own_get("vo/list", &()).await?.ok()?.data;
            if known["vos"].as_array().into_iter().flatten().any(|v| v["name"] == json!(name.to_lowercase()) && !v["idp"].is_null()) {
                return Err(Failure::usage(format!("there is a VO `{name}` already")).hint(format!("`panda vo set {name}` changes it")));
            }
            let body = json!({ "name": name, "values": values(options, &[])? });
            let mut code = change(context, "vo/set", &body, |_| format!("VO `{name}` added")).await?;
            for admin in admins {
                let body = json!({ "name": admin, "role": "vo-admin", "vo": name });
                code = change(context, "user/grant", &body, |_| format!("`{admin}` administers VO `{name}`")).await?;
            }
            Ok(code)
        }
        VoVerb::Set { name, options, forget } => {
            let body = json!({ "name": name, "values": values(options, forget)? });
            change(context, "vo/set", &body, |_| format!("VO `{name}` changed")).await
        }
        VoVerb::Check { name } => check(context, name).await,
        VoVerb::Remove { name } => change(context, "vo/remove", &json!({ "name": name }), |_| format!("VO `{name}` removed")).await,
    }
}

/// What the options tell, by the names of the API.
fn values(o: &VoOptions, forget: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut all = Map::new();
    for key in forget {
        all.insert(key.clone(), Value::Null);
    }
    let mut text = |key: &str, value: Option<&String>| {
        if let Some(value) = value {
            all.insert(key.to_owned(), json!(value));
        }
    };
    text("issuer", o.idp.as_ref());
    text("client_id", o.client_id.as_ref());
    text("groups_claim", o.groups_claim.as_ref());
    if let Some(path) = &o.client_secret_file {
        let secret = std::fs::read_to_string(path).map_err(io("read", path))?;
        text("client_secret", Some(&secret.trim().to_owned()));
    }
    for (key, list) in
        [("audiences", &o.audiences), ("members", &o.members), ("auto_roles", &o.auto_roles), ("legacy_issuers", &o.legacy_issuers)]
    {
        if !list.is_empty() {
            all.insert(key.to_owned(), json!(list));
        }
    }
    for (key, option, list) in [("roles", "--role", &o.roles), ("robots", "--robot", &o.robots)] {
        if !list.is_empty() {
            all.insert(key.to_owned(), Value::Object(pairs(option, list)?));
        }
    }
    if o.wlcg {
        all.insert("wlcg".to_owned(), json!(true));
    }
    Ok(all)
}

fn pairs(option: &str, list: &[String]) -> Result<Map<String, Value>, Failure> {
    let one = |text: &String| match text.split_once('=') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok((a.to_owned(), json!(b))),
        _ => Err(Failure::usage(format!("{option} is NAME=VALUE, not `{text}`"))),
    };
    list.iter().map(one).collect()
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let data = Session::open(context)?.client.own_get("vo/list", &()).await?.ok()?.data;
    if context.json {
        screen::json(&data);
        return Ok(exit::OK);
    }
    let rows = data["vos"].as_array().into_iter().flatten().map(|v| {
        let idp = &v["idp"];
        let from = if v["configured"] == true { "configuration" } else { "added" };
        vec![view::text(v, "name"), from.to_owned(), view::text(idp, "issuer"), view::text(idp, "client_id")]
    });
    screen::table(&["VO", "FROM", "IDENTITY PROVIDER", "CLIENT"], rows.collect(), "no VO; `panda vo add` makes one");
    Ok(exit::OK)
}

/// Each step with its outcome; the first that fails ends it.
async fn check(context: &Context, name: &str) -> Result<u8, Failure> {
    let session = Session::with_role(context, None, Some(name))?;
    let vo = session.client.own_get("vo/show", &[("name", name)]).await?.ok()?.data;
    let Some(issuer) = vo["idp"]["issuer"].as_str() else {
        return Err(Failure::new(format!("VO `{name}` has no identity provider: development tokens only"))
            .hint(format!("panda vo set {name} --idp URL --client-id ID")));
    };
    let found = idp::fetch(issuer).await.map_err(Failure::new)?;
    let keys = panda_access::oidc::KeySet::read(&found.jwks).map_err(|e| Failure::new(format!("the keys of {issuer}: {e}")))?;
    screen::line(format!("{issuer}: answers, {} keys", keys.len()));
    for (endpoint, what) in [("device_authorization_endpoint", "prun and pbook cannot log in"), ("token_endpoint", "nobody can log in")] {
        match found.discovery[endpoint].as_str() {
            Some(at) => screen::line(format!("{endpoint}: {at}")),
            None => screen::line(format!("{endpoint}: not offered, so {what}")),
        }
    }
    let who = session.client.own_get("whoami", &()).await?.ok()?.data;
    if who["issuer"].as_str().is_some_and(|iss| iss.trim_end_matches('/') == issuer.trim_end_matches('/')) {
        screen::line(format!("token: the server knows you as {}, groups: {}", view::text(&who, "name"), view::text(&who, "groups")));
    } else {
        screen::line("token: none of this provider; set PANDA_AUTH_ID_TOKEN to try one");
    }
    Ok(exit::OK)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn options_become_what_the_api_calls_them() {
        let o = VoOptions {
            idp: Some("https://idp.example.org".into()),
            client_id: Some("panda".into()),
            members: vec!["a".into(), "b".into()],
            roles: vec!["production=experts".into()],
            wlcg: true,
            ..VoOptions::default()
        };
        let want = json!({"issuer": "https://idp.example.org", "client_id": "panda", "members": ["a", "b"],
            "roles": {"production": "experts"}, "wlcg": true, "robots": null});
        assert_eq!(Value::Object(values(&o, &["robots".to_owned()]).unwrap()), want);
        let bad = VoOptions { robots: vec!["x".into()], ..VoOptions::default() };
        assert!(values(&bad, &[]).is_err());
    }
}
