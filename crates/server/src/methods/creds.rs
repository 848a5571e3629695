//! Rows of `creds`.

use super::{Method, Right, handler};
use crate::args::{Kind, optional, required};
use crate::creds;

pub(super) const ROWS: &[Method] = &[
    Method::post(
        "creds",
        "set_user_secrets",
        Right::SecretsOwn,
        &[optional("key", Kind::Text), optional("value", Kind::Text)],
        handler!(creds::set_user_secrets::handle),
    )
    .about("Null", "Stores one of the caller's secrets, or forgets one or all."),
    Method::get(
        "creds",
        "get_user_secrets",
        Right::SecretsOwn,
        &[optional("keys", Kind::Texts)],
        handler!(creds::get_user_secrets::handle),
    )
    .about("Text", "The caller's secrets as JSON text."),
    Method::get(
        "creds",
        "get_key_pair",
        Right::Credentials,
        &[required("public_key_name", Kind::Text), required("private_key_name", Kind::Text)],
        handler!(creds::get_key_pair::handle),
    )
    .about("KeyPair", "A key pair of the server's key folder."),
    Method::get(
        "creds",
        "get_proxy",
        Right::Credentials,
        &[optional("role", Kind::Text), optional("dn", Kind::Text)],
        handler!(creds::get_proxy::handle),
    )
    .about("Proxy", "A proxy certificate, where the server keeps some."),
    Method::get(
        "creds",
        "get_access_token",
        Right::Credentials,
        &[required("client_name", Kind::Text), optional("token_key", Kind::Text)],
        handler!(creds::get_access_token::handle),
    )
    .about("Proxy", "An access token, where the server keeps some."),
    Method::get(
        "creds",
        "get_token_key",
        Right::Credentials,
        &[required("client_name", Kind::Text)],
        handler!(creds::get_token_key::handle),
    )
    .about("TokenKey", "The key that pilots of a client send to get its access token."),
];
