//! `Authorization` and `Origin` headers: never a panic, and nobody gets in without a token that the issuer signed.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use panda_access::dev::{DevIdentity, Issuer};
use panda_access::{Identity, RequestIdentity};

static IDENTITY: LazyLock<DevIdentity> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let issuer = Issuer::open(folder.path(), Arc::new(|| 0), Arc::new(|vo: &str| vo == "amber")).expect("a key");
    Arc::new(issuer).for_listener(([127, 0, 0, 1], 0).into()).expect("loopback")
});

fuzz_target!(|headers: (&str, &str)| {
    let (token, origin) = headers;
    for authorization in [token.to_owned(), format!("Bearer {token}")] {
        let request = RequestIdentity { authorization: Some(&authorization), origin: Some(origin), peer_is_loopback: true, ..RequestIdentity::default() };
        assert!(!matches!(IDENTITY.authenticate(&request), Ok(Some(_))), "let in: {authorization:?} {origin:?}");
    }
});
