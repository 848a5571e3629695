//! The envelope that every API v1 answer has.
//!
//! Owns its three members. Must not know what `data` holds.

use serde::{Deserialize, Serialize};

/// `{"success": bool, "message": text, "data": any}`; all three are always sent,
/// and `message` is never null: clients search in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T = serde_json::Value> {
    /// Whether the call did what was asked.
    pub success: bool,
    /// Text for people; some clients parse parts of it.
    #[serde(default)]
    pub message: String,
    /// The answer, or null.
    #[serde(default = "Option::default")]
    pub data: Option<T>,
}

impl<T> Envelope<T> {
    /// A success with data and an empty message.
    pub fn ok(data: T) -> Self {
        Envelope { success: true, message: String::new(), data: Some(data) }
    }

    /// A refusal without data.
    pub fn refused(message: impl Into<String>) -> Self {
        Envelope { success: false, message: message.into(), data: None }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_members_travel() {
        let text = serde_json::to_string(&Envelope::<i64>::refused("no")).unwrap();
        assert_eq!(text, r#"{"success":false,"message":"no","data":null}"#);
        let back: Envelope = serde_json::from_str(r#"{"success":true}"#).unwrap();
        assert!(back.success && back.message.is_empty() && back.data.is_none());
    }
}
