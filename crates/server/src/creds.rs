//! Methods of `creds`.

pub mod get_access_token;
pub mod get_key_pair;
pub mod get_proxy;
pub mod get_token_key;
pub mod get_user_secrets;
pub mod set_user_secrets;
