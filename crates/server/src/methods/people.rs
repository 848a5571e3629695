//! Rows of our own namespace about people: granted roles, bans, API tokens, the journal.

use super::{Method, Right, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::own;

const NAME: Param = required("name", Kind::Text);
const ROLE: Param = required("role", Kind::Text);
const VO: Param = optional("vo", Kind::Text);
const SITE: Param = optional("site", Kind::Text);
const ISSUER: Param = optional("issuer", Kind::Text);

const fn int(name: &'static str) -> Param {
    optional(name, Kind::Int).lenient()
}

pub(super) const ROWS: &[Method] = &[
    Method::get("user", "list", Right::UserChange, &[VO], handler!(own::user_list::handle))
        .own()
        .about("Grants", "Granted roles and bans that the caller administers."),
    Method::post("user", "grant", Right::UserChange, &[NAME, ROLE, VO, SITE, ISSUER, int("days")], handler!(own::user_grant::handle))
        .own()
        .about("Grant", "Grants a role of a VO, of a site or of everything."),
    Method::post("user", "revoke", Right::UserChange, &[NAME, ROLE, VO, SITE, ISSUER], handler!(own::user_revoke::handle))
        .own()
        .about("Nothing", "Takes a granted role away."),
    Method::post("user", "ban", Right::UserChange, &[NAME, VO, ISSUER, int("days")], handler!(own::user_ban::handle))
        .own()
        .about("Grant", "Locks somebody out, of a VO or of everything."),
    Method::post("user", "unban", Right::UserChange, &[NAME, VO, ISSUER], handler!(own::user_unban::handle))
        .own()
        .about("Nothing", "Lets somebody in again."),
    Method::get("token", "list", Right::TokenOwn, &[], handler!(own::token_list::handle))
        .own()
        .about("Tokens", "API tokens that the caller may revoke."),
    Method::post(
        "token",
        "create",
        Right::TokenOwn,
        &[
            NAME,
            optional("robot", Kind::Text),
            VO,
            optional("roles", Kind::Texts),
            optional("scopes", Kind::Texts),
            int("days").or(Default::Int(90)),
        ],
        handler!(own::token_create::handle),
    )
    .own()
    .about("NewToken", "Makes an API token of the caller or of a robot; its text is shown this one time."),
    Method::post("token", "revoke", Right::TokenOwn, &[NAME], handler!(own::token_revoke::handle))
        .own()
        .about("Token", "Revokes an API token, by name or number."),
    Method::get(
        "journal",
        "list",
        Right::JournalRead,
        &[optional("area", Kind::Text), int("before"), int("limit").or(Default::Int(100))],
        handler!(own::journal_list::handle),
    )
    .own()
    .about("Journal", "What was changed, by whom and with which outcome, the newest first."),
];
