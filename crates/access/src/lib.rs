//! Who asks, and what they may do.
//!
//! Owns: the [`Principal`] (an identified caller), the [`Identity`] trait that turns the headers of a request into one,
//! the local development issuer ([`dev::Issuer`]) and the one table of rights ([`table`]).
//! Must not know: handlers, HTTP types, SQL, the store. It takes header *text* and answers with a principal or a refusal.
//!
//! Where to start: [`Identity::authenticate`] is what a server calls per request, [`table::admit`] what it calls before it
//! reads the body, [`table::allowed`] once the owner of the touched task or job is known.
//!
//! To add an identity provider: implement [`Identity`] in a file of its own beside `dev/`; nothing else changes, since
//! everything behind the door sees only [`Principal`].

mod cache;
pub mod dev;
mod grants;
mod identity;
mod jws;
pub mod oidc;
mod origin;
mod principal;
pub mod table;
pub mod tokens;
pub mod x509;

pub use grants::{Grant, Grants, Reach};
pub use identity::{AccessError, Identity, MAX_AUTHORIZATION_BYTES, Nobody, RequestIdentity, bearer, issuer_of};
pub use origin::{MAX_ORIGIN_BYTES, Origin};
pub use principal::{Principal, Role, Standing, clean_name};
pub use table::{Denied, Ground, Object, Owner, Right, Scope};
