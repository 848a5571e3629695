//! The envelope that every method of the API answers with.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ClientError;

/// `{"success": bool, "message": str, "data": any}`, plus whatever else stands
/// at the top level (a pilot's `command`, `response`, ...).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Envelope {
    /// Whether the method did what was asked.
    pub success: bool,
    /// The server's words; empty when it had none.
    pub message: String,
    /// The result; `Null` when there is none.
    pub data: Value,
    /// Other members of the top level.
    pub extra: Map<String, Value>,
}

impl Envelope {
    /// Reads an envelope out of a JSON object; a missing `success` counts as
    /// false, so that a stray JSON answer is never taken for a result.
    pub(crate) fn from_object(mut object: Map<String, Value>) -> Self {
        let success = object.remove("success") == Some(Value::Bool(true));
        let message = match object.remove("message") {
            Some(Value::String(text)) => text,
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let data = object.remove("data").unwrap_or(Value::Null);
        Self { success, message, data, extra: object }
    }

    /// The envelope itself if it is a success.
    ///
    /// # Errors
    /// [`ClientError::Unsuccessful`] with the server's message.
    pub fn ok(self) -> Result<Self, ClientError> {
        if self.success {
            Ok(self)
        } else {
            let message = if self.message.is_empty() { "the server refused without saying why".to_owned() } else { self.message };
            Err(ClientError::Unsuccessful { message })
        }
    }

    /// The data of a success, decoded.
    ///
    /// # Errors
    /// [`ClientError::Unsuccessful`] for a refusal, [`ClientError::NotJson`] for
    /// data of another shape.
    pub fn into_data<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let data = self.ok()?.data;
        let start: String = data.to_string().chars().take(80).collect();
        serde_json::from_value(data).map_err(|error| ClientError::NotJson {
            url: "the answer's data".to_owned(),
            reason: error.to_string(),
            start,
        })
    }
}
