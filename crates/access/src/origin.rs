//! Owns: reading `vo`, `vo:role` and `vo.role` (the `Origin` header and the `vo` claim). Must not know: which VOs exist
//! beyond the question it is told to ask.

use crate::principal::Role;

/// Longest `Origin` that is looked at: VO and role names are short, anything longer is no VO.
pub const MAX_ORIGIN_BYTES: usize = 256;

/// A VO and the role asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// VO name, lower case (names are compared without case).
    pub vo: String,
    /// The role asked for, if one was.
    pub role: Option<Role>,
}

impl Origin {
    /// Reads an `Origin` header or a `vo` claim: `vo`, `vo:role` or `vo.role`. A dot is part of the VO's name when the
    /// whole text names a known VO (`lsst.org`), else the last dot parts the role. None for an empty text and for what a
    /// browser puts there (`http://host`, `null`), which names no VO.
    #[must_use]
    pub fn parse(text: &str, is_known: impl Fn(&str) -> bool) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text.is_empty() || text == "null" || text.contains("://") || text.len() > MAX_ORIGIN_BYTES {
            return None;
        }
        if let Some((vo, role)) = text.split_once(':') {
            return Some(Self::of(vo, role));
        }
        if is_known(&text) {
            return Some(Self { vo: text, role: None });
        }
        match text.rsplit_once('.') {
            Some((vo, role)) if is_known(vo) => Some(Self::of(vo, role)),
            _ => Some(Self { vo: text, role: None }),
        }
    }

    fn of(vo: &str, role: &str) -> Self {
        let role = role.trim();
        Self { vo: vo.trim().to_owned(), role: (!role.is_empty()).then(|| Role::from_name(role)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(vo: &str) -> bool {
        matches!(vo, "amber" | "lsst.org")
    }

    #[test]
    fn the_three_spellings() {
        let role = |text: &str| Origin::parse(text, known).map(|o| (o.vo, o.role));
        assert_eq!(role("amber"), Some(("amber".into(), None)));
        assert_eq!(role("Amber:Production"), Some(("amber".into(), Some(Role::Production))));
        assert_eq!(role("amber.pilot"), Some(("amber".into(), Some(Role::Pilot))));
        assert_eq!(role("lsst.org"), Some(("lsst.org".into(), None)));
        assert_eq!(role("lsst.org.pilot"), Some(("lsst.org".into(), Some(Role::Pilot))));
        assert_eq!(role("stranger.pilot"), Some(("stranger.pilot".into(), None)));
        assert_eq!(role("amber:"), Some(("amber".into(), None)));
    }

    #[test]
    fn what_browsers_send_names_no_vo() {
        for text in ["", "  ", "null", "http://127.0.0.1:25080", &"x".repeat(MAX_ORIGIN_BYTES + 1)] {
            assert_eq!(Origin::parse(text, known), None, "of {text:?}");
        }
    }
}
