//! Classes of labels: which jobs an asker gets together (`spec/engine.md` sections 9.2 and 16.3).
//!
//! It must not know lanes.

use crate::setting::{Values, dispatch::LABEL_CLASS};

/// Jobs of users and their builds.
pub const ANALYSIS: &str = "analysis";
/// Production and its tests.
pub const PRODUCTION: &str = "production";
/// Software installation.
pub const INSTALL: &str = "install";

/// The class of a job's label: the site's, else the built-in one; any other label is a class of its own.
#[must_use]
pub fn class<'a>(values: &'a Values, vo: &str, label: &'a str) -> &'a str {
    let given = values.text(&LABEL_CLASS, vo, label);
    if !given.is_empty() {
        return given;
    }
    match label {
        "user" | "panda" => ANALYSIS,
        "managed" | "test" | "prod_test" => PRODUCTION,
        "install" => INSTALL,
        other => other,
    }
}

/// The classes that a request with this label may take from a VO.
#[must_use]
pub fn classes_for<'a>(values: &'a Values, vo: &str, asked: Option<&'a str>) -> Vec<&'a str> {
    match asked {
        None | Some("") => vec![PRODUCTION, INSTALL],
        Some("unified") => vec![PRODUCTION, ANALYSIS, INSTALL],
        Some(label) => match class(values, vo, label) {
            own @ (ANALYSIS | PRODUCTION) => vec![own, INSTALL],
            own => vec![own],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::ANY;

    /// engine.md 9.2: the rows of the request's label.
    #[test]
    fn who_takes_what() {
        let none = Values::default();
        let takes = |asked: Option<&str>, label: &str| classes_for(&none, "amber", asked).contains(&class(&none, "amber", label));
        assert!(takes(Some("user"), "panda") && takes(Some("user"), "install") && !takes(Some("user"), "managed"));
        for asked in [None, Some("managed"), Some("test")] {
            assert!(takes(asked, "managed") && takes(asked, "prod_test") && takes(asked, "install") && !takes(asked, "user"));
        }
        assert!(takes(Some("unified"), "user") && takes(Some("unified"), "managed") && !takes(Some("unified"), "ptest"));
        assert!(takes(Some("ptest"), "ptest") && !takes(Some("ptest"), "user"));
        assert!(takes(Some("install"), "install") && !takes(Some("install"), "managed"));
    }

    /// engine.md 16.3: labels are a table of the site.
    #[test]
    fn a_site_names_classes() {
        let key = |vo: &str| (LABEL_CLASS.name.into(), vo.into(), "evgen".into());
        let (values, problems) = Values::new([(key(ANY), "production".into()), (key("flint"), "analysis".into())]);
        assert!(problems.is_empty());
        assert_eq!(class(&values, "amber", "evgen"), PRODUCTION);
        assert_eq!(classes_for(&values, "amber", Some("evgen")), [PRODUCTION, INSTALL]);
        assert_eq!(class(&values, "flint", "evgen"), ANALYSIS);
        assert_eq!(classes_for(&values, "flint", Some("evgen")), [ANALYSIS, INSTALL]);
        assert_eq!(class(&values, "amber", "other"), "other");
    }
}
