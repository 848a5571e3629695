//! Webhooks: one POST of JSON, signed when the receiver has a secret.

use std::sync::OnceLock;

use reqwest::{Client, StatusCode, header::CONTENT_TYPE, redirect};
use ring::hmac;

use crate::{DEADLINE, Failure, chain, in_time, install_provider};

/// What happened: the kind of news.
pub const EVENT_HEADER: &str = "X-Panda-Event";
/// The same for each attempt of one delivery, so that a receiver can drop doubles.
pub const DELIVERY_HEADER: &str = "X-Panda-Delivery";
/// `sha256=` and the HMAC-SHA256 of the body under the shared secret, in hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "X-Panda-Signature-256";

/// A delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Where to.
    pub url: &'a str,
    /// Kind of news, a word.
    pub event: &'a str,
    /// Its own name.
    pub id: &'a str,
    /// JSON.
    pub body: &'a str,
    /// Shared secret; none = not signed.
    pub secret: Option<&'a str>,
}

fn client() -> Result<&'static Client, Failure> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    install_provider();
    // A redirect would send signed news to somebody whom nobody named.
    let made = Client::builder()
        .timeout(DEADLINE)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("panda/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| Failure::passing(format!("no HTTP client: {}", chain(&e))))?;
    Ok(CLIENT.get_or_init(|| made))
}

/// The value of [`SIGNATURE_HEADER`].
#[must_use]
pub fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let digits: String = hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={digits}")
}

/// Delivers once. Any answer of the 2xx kind is a receipt.
///
/// # Errors
/// Why not; 410 means for good.
pub async fn post(d: &Delivery<'_>) -> Result<(), Failure> {
    let send = async {
        let mut request = client()?
            .post(d.url)
            .header(CONTENT_TYPE, "application/json")
            .header(EVENT_HEADER, d.event)
            .header(DELIVERY_HEADER, d.id)
            .body(d.body.to_owned());
        if let Some(secret) = d.secret {
            request = request.header(SIGNATURE_HEADER, signature(secret, d.body));
        }
        let answer = request.send().await.map_err(|e| {
            let lasting = e.is_builder();
            Failure { reason: format!("webhook: {}", chain(&e.without_url())), lasting }
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(Failure::lasting("webhook: the receiver answered 410, it is gone")),
            status => Err(Failure::passing(format!("webhook: the receiver answered {}", status.as_u16()))),
        }
    };
    in_time("webhook: the receiver", send).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{body_string, header, method},
    };

    /// RFC 4231, test case 2.
    #[test]
    fn signatures_are_hmac_sha256() {
        let want = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature("Jefe", "what do ya want for nothing?"), want);
    }

    #[tokio::test]
    async fn news_is_signed_and_any_good_answer_is_a_receipt() {
        let server = MockServer::start().await;
        let sign = signature("s", "{}");
        Mock::given(method("POST"))
            .and(body_string("{}"))
            .and(header(EVENT_HEADER, "task_state"))
            .and(header(DELIVERY_HEADER, "k"))
            .and(header(SIGNATURE_HEADER, sign.as_str()))
            .respond_with(ResponseTemplate::new(202))
            .mount(&server)
            .await;
        let url = server.uri();
        let d = Delivery { url: &url, event: "task_state", id: "k", body: "{}", secret: Some("s") };
        assert_eq!(post(&d).await, Ok(()));
        let wrong = post(&Delivery { secret: Some("t"), ..d }).await.unwrap_err();
        assert_eq!((wrong.reason.as_str(), wrong.lasting), ("webhook: the receiver answered 404", false));
        drop(server);
        assert!(!post(&Delivery { url: "http://127.0.0.1:1/", ..d }).await.unwrap_err().lasting, "nobody listens now");
        assert!(post(&Delivery { url: "no address", ..d }).await.unwrap_err().lasting);
    }

    #[tokio::test]
    async fn gone_is_for_good_and_redirects_are_not_followed() {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(410)).up_to_n_times(1).mount(&server).await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(307).insert_header("location", "http://127.0.0.1:1/"))
            .mount(&server)
            .await;
        let url = server.uri();
        let d = Delivery { url: &url, event: "e", id: "k", body: "{}", secret: None };
        assert!(post(&d).await.unwrap_err().lasting);
        assert_eq!(post(&d).await.unwrap_err().reason, "webhook: the receiver answered 307");
    }
}
