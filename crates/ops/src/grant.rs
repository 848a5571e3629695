//! Who was granted which role here, and who is banned.

use panda_access::{Object, Principal, Reach, Right, Role, table};
use panda_store::{
    Batch, Topic,
    query::{
        grant::{self, GrantRow},
        person::{self, Person},
    },
};
use serde_json::{Value, json};

use crate::{
    Ops, OpsError, clock,
    trust::{self, BANNED},
};

/// Longest name of a VO or site in a grant.
const MAX_REACH: usize = 100;

/// Whom to grant or ban: a subject, short name, name or mail address, and the issuer where several have it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whom<'a> {
    /// The text.
    pub name: &'a str,
    /// Who vouches for the person; None = whoever.
    pub issuer: Option<&'a str>,
}

/// What is granted: a role of a VO, of a site, or of everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct What<'a> {
    /// Name of the role.
    pub role: &'a str,
    /// Of this VO.
    pub vo: Option<&'a str>,
    /// Of this site.
    pub site: Option<&'a str>,
    /// Until then, microseconds.
    pub until_us: Option<i64>,
}

/// Grants and bans that the caller administers: `{"grants": [{"name", "issuer", "subject", "pending", "role", "reach", "by", "at", "until"}]}`; of `vo` alone where it
/// is given. A ban's role is `banned`.
pub async fn list(ops: &Ops, who: &Principal, vo: Option<&str>) -> Result<Value, OpsError> {
    table::admit(Right::UserChange, Some(who))?;
    let mut all = Vec::new();
    for g in grant::list(&ops.store).await? {
        let Some(reach) = trust::reach(&g.reach) else { continue };
        let fits = vo.is_none_or(|vo| matches!(&reach, Reach::Vo(of) if of == vo));
        if fits && table::allowed(Right::UserChange, Some(who), object(&reach)).is_ok() {
            all.push(shown(&g));
        }
    }
    Ok(json!({ "grants": all }))
}

/// Grants a role. Who is not known here yet is noted under the short name: the first who comes with it from `issuer` (else of the VO's provider) has it.
pub async fn add(ops: &Ops, who: &Principal, whom: Whom<'_>, what: What<'_>) -> Result<Value, OpsError> {
    let (role, reach) = checked(ops, who, what).await?;
    let g = row(ops, who, whom, &role, &reach, what.until_us).await?;
    write(ops, &[], Some(&g)).await?;
    tracing::info!(name = g.shown, role = g.role, reach = g.reach, by = who.name, "role granted");
    Ok(shown(&g))
}

/// Takes a role away; the answer is whether it was there.
pub async fn remove(ops: &Ops, who: &Principal, whom: Whom<'_>, what: What<'_>) -> Result<bool, OpsError> {
    let (role, reach) = checked(ops, who, what).await?;
    let gone = matching(ops, whom, &role, &text(&reach)).await?;
    write(ops, &gone, None).await?;
    for g in &gone {
        tracing::info!(name = g.shown, role = g.role, reach = g.reach, by = who.name, "role taken away");
    }
    Ok(!gone.is_empty())
}

/// Locks somebody out, of a VO or (operators) of everything.
pub async fn ban(ops: &Ops, who: &Principal, whom: Whom<'_>, vo: Option<&str>, until_us: Option<i64>) -> Result<Value, OpsError> {
    let reach = ban_reach(who, vo)?;
    let g = row(ops, who, whom, BANNED, &reach, until_us).await?;
    if g.pending {
        return Err(unknown(whom));
    }
    if who.owns((&g.issuer, &g.subject)) {
        return Err(OpsError::refused("you would lock yourself out"));
    }
    write(ops, &[], Some(&g)).await?;
    tracing::info!(name = g.shown, reach = g.reach, by = who.name, "banned");
    Ok(shown(&g))
}

/// Lets somebody in again; the answer is whether there was such a ban.
pub async fn unban(ops: &Ops, who: &Principal, whom: Whom<'_>, vo: Option<&str>) -> Result<bool, OpsError> {
    let reach = ban_reach(who, vo)?;
    let gone = matching(ops, whom, BANNED, &text(&reach)).await?;
    write(ops, &gone, None).await?;
    Ok(!gone.is_empty())
}

/// Gives those who came what was noted under their short name.
pub async fn come(ops: &Ops, who: &Principal, pending: &[GrantRow]) -> Result<(), OpsError> {
    // Known from now on by name, to be banned or granted more.
    ops.person(who).await?;
    for old in pending {
        let (issuer, subject, shown) = (who.issuer.clone(), who.subject.clone(), who.name.clone());
        let g = GrantRow { issuer, subject, shown, pending: false, ..old.clone() };
        write(ops, std::slice::from_ref(old), Some(&g)).await?;
        tracing::info!(name = g.shown, subject = g.subject, role = g.role, reach = g.reach, "a role that was noted is granted");
    }
    Ok(())
}

fn object(reach: &Reach) -> Option<Object<'_>> {
    match reach {
        Reach::Vo(vo) => Some(Object::of_vo(vo)),
        // Of no VO: operators.
        Reach::Everything | Reach::Site(_) => Some(Object { owner: None, vo: Some(""), site: None }),
    }
}

fn text(reach: &Reach) -> String {
    match reach {
        Reach::Everything => "*".to_owned(),
        Reach::Vo(vo) => format!("vo:{vo}"),
        Reach::Site(site) => format!("site:{site}"),
    }
}

fn ban_reach(who: &Principal, vo: Option<&str>) -> Result<Reach, OpsError> {
    let reach = vo.map_or(Reach::Everything, |vo| Reach::Vo(vo.trim().to_lowercase()));
    table::allowed(Right::UserChange, Some(who), object(&reach))?;
    Ok(reach)
}

/// The role's name and what it reaches, when the caller may grant it.
async fn checked(ops: &Ops, who: &Principal, what: What<'_>) -> Result<(String, Reach), OpsError> {
    table::admit(Right::UserChange, Some(who))?;
    let role = Role::from_name(what.role.trim());
    if let Role::Named(name) = &role {
        let known: Vec<String> = Role::KNOWN.iter().map(ToString::to_string).collect();
        return Err(OpsError::refused(format!("there is no role `{name}`; there are {}", known.join(", "))));
    }
    let vo = what.vo.map(|vo| vo.trim().to_lowercase());
    let reach = match (&role, vo, what.site) {
        (Role::SiteAdmin, None, Some(site)) if !site.trim().is_empty() => Reach::Site(site.trim().to_owned()),
        (Role::SiteAdmin, ..) => return Err(OpsError::refused("the role site-admin is of a site: give `--site SITE` and no VO")),
        (_, _, Some(_)) => return Err(OpsError::refused(format!("the role {role} is not of a site"))),
        (Role::Operator, None, None) => Reach::Everything,
        (Role::Operator, Some(_), _) => return Err(OpsError::refused("the role operator reaches everything: leave the VO away")),
        (Role::Production | Role::VoAdmin, None, None) => {
            return Err(OpsError::refused(format!("the role {role} is of a VO: give `--vo VO`")));
        }
        (_, Some(vo), None) => Reach::Vo(vo),
        // Pilots and agents of a whole site.
        (_, None, None) => Reach::Everything,
    };
    if let Reach::Vo(vo) = &reach {
        let vos = ops.reread_vos().await?;
        if !vos.contains(vo) {
            return Err(OpsError::refused(format!("there is no VO `{vo}`; there are: {}", vos.list())));
        }
    }
    if text(&reach).len() > MAX_REACH {
        return Err(OpsError::refused(format!("the name of the site or VO is longer than {MAX_REACH} bytes")));
    }
    table::allowed(Right::UserChange, Some(who), object(&reach))?;
    Ok((role.to_string(), reach))
}

async fn row(ops: &Ops, who: &Principal, whom: Whom<'_>, role: &str, reach: &Reach, until_us: Option<i64>) -> Result<GrantRow, OpsError> {
    let at_us = ops.now().0;
    if until_us.is_some_and(|until| until <= at_us) {
        return Err(OpsError::refused("the end is in the past"));
    }
    let new = |issuer: &str, subject: &str, shown: &str, pending| GrantRow {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        shown: shown.to_owned(),
        pending,
        role: role.to_owned(),
        reach: text(reach),
        by: who.name.clone(),
        at_us,
        until_us,
    };
    if let Some(p) = find(ops, whom).await? {
        return Ok(new(&p.issuer, &p.subject, &p.name, false));
    }
    let name = whom.name.trim();
    let issuer = match (whom.issuer, reach) {
        (Some(issuer), _) => Some(issuer.trim().to_owned()),
        (None, Reach::Vo(vo)) => ops.reread_vos().await?.0.get(vo).and_then(|v| v.idp.as_ref()).map(|idp| idp.issuer.clone()),
        (None, _) => None,
    };
    match issuer {
        Some(issuer) if !name.is_empty() && name.len() <= MAX_REACH => Ok(new(&issuer, name, name, true)),
        _ => Err(unknown(whom)),
    }
}

fn unknown(whom: Whom<'_>) -> OpsError {
    OpsError::refused(format!(
        "nobody known here is called `{}`; people are known once they have called the server, or name the issuer with `--issuer URL` and the short name",
        whom.name
    ))
}

/// The one person whom the text names; None = nobody.
pub async fn find(ops: &Ops, whom: Whom<'_>) -> Result<Option<Person>, OpsError> {
    let name = whom.name.trim();
    let mut found = person::called(&ops.store, name).await?;
    if found.is_empty() {
        found = person::by_name(&ops.store, &panda_access::clean_name(name)).await?;
    }
    found.retain(|p| whom.issuer.is_none_or(|i| i.trim().trim_end_matches('/') == p.issuer.trim_end_matches('/')));
    match found.len() {
        0 | 1 => Ok(found.pop()),
        n => {
            let all: Vec<String> = found.iter().map(|p| format!("{} (subject {}, issuer {})", p.name, p.subject, p.issuer)).collect();
            Err(OpsError::refused(format!("{n} people are called `{name}`: {}; name the subject and the issuer", all.join("; "))))
        }
    }
}

async fn matching(ops: &Ops, whom: Whom<'_>, role: &str, reach: &str) -> Result<Vec<GrantRow>, OpsError> {
    let person = find(ops, whom).await?;
    let name = whom.name.trim();
    let is = |g: &GrantRow| match &person {
        Some(p) if !g.pending => (&g.issuer, &g.subject) == (&p.issuer, &p.subject),
        _ => g.pending && g.subject == name && whom.issuer.is_none_or(|i| i == g.issuer),
    };
    Ok(grant::list(&ops.store).await?.into_iter().filter(|g| g.role == role && g.reach == reach && is(g)).collect())
}

async fn write(ops: &Ops, gone: &[GrantRow], new: Option<&GrantRow>) -> Result<(), OpsError> {
    let mut batch = Batch::new();
    gone.iter().for_each(|g| grant::delete(&mut batch, g));
    if let Some(new) = new {
        grant::set(&mut batch, new);
    }
    batch.wake(Topic::Vos);
    Ok(ops.store.apply(batch).await?)
}

fn shown(g: &GrantRow) -> Value {
    json!({
        "name": g.shown, "issuer": g.issuer, "subject": g.subject, "pending": g.pending, "role": g.role, "reach": g.reach, "by": g.by,
        "at": clock::text(g.at_us), "until": g.until_us.map(clock::text),
    })
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
