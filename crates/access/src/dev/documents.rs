//! Owns: the JSON documents that describe the issuer to clients. Must not know: where they are served beyond the base it is given.

use serde_json::{Value, json};

use super::key::Key;
use super::{AUDIENCE, ISSUER};
use crate::origin::Origin;

pub(super) fn jwks(key: &Key) -> Value {
    let (x, y) = key.coordinates();
    json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.id(), "x": x, "y": y}]})
}

/// Device and token endpoints are absent on purpose: development tokens come from `panda token`, not from a browser.
pub(super) fn discovery(base: &str) -> Value {
    let base = base.trim_end_matches('/');
    json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{base}/auth/jwks.json"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "name", "preferred_username", "email", "vo", "groups"],
    })
}

/// `client_secret` is there though null: the client fails on a missing key (`spec/client.md` section 8.3).
pub(super) fn auth_config(base: &str, origin: &Origin) -> Value {
    let base = base.trim_end_matches('/');
    let vo = match &origin.role {
        Some(role) => format!("{}.{role}", origin.vo),
        None => origin.vo.clone(),
    };
    json!({
        "audience": AUDIENCE,
        "client_id": AUDIENCE,
        "client_secret": null,
        "oidc_config_url": format!("{base}/auth/.well-known/openid-configuration"),
        "vo": vo,
    })
}
