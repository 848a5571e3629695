//! Classes of labels: which jobs an asker gets together (`spec/engine.md` section 9.2). The tree of shares comes later.
//!
//! It must not know lanes.

use crate::words::word_enum;

word_enum! {
    /// Labels whose jobs are handed out together.
    LabelClass, "label class" {
        /// Jobs of users and their builds.
        Analysis = "analysis",
        /// Production and its tests.
        Production = "production",
        /// Software installation.
        Install = "install",
        /// Everything else; the label itself decides.
        Other = "other",
    }
}

impl LabelClass {
    /// The class of a job's label.
    #[must_use]
    pub fn of(label: &str) -> Self {
        match label {
            "user" | "panda" => Self::Analysis,
            "managed" | "test" | "prod_test" => Self::Production,
            "install" => Self::Install,
            _ => Self::Other,
        }
    }
}

/// Whether a job with label `job` may go to an asker that says `asked`.
#[must_use]
pub fn may_take(asked: Option<&str>, job: &str) -> bool {
    let class = LabelClass::of(job);
    match asked.unwrap_or_default() {
        "user" => matches!(class, LabelClass::Analysis | LabelClass::Install),
        "" | "managed" => matches!(class, LabelClass::Production | LabelClass::Install),
        "unified" => class != LabelClass::Other,
        "test" => matches!(class, LabelClass::Production | LabelClass::Install),
        other => other == job,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_what() {
        assert!(may_take(Some("user"), "panda") && !may_take(Some("user"), "managed"));
        assert!(may_take(None, "managed") && may_take(Some("managed"), "prod_test") && !may_take(None, "user"));
        assert!(may_take(Some("unified"), "user") && may_take(Some("unified"), "managed") && !may_take(Some("unified"), "ptest"));
        assert!(may_take(Some("ptest"), "ptest") && !may_take(Some("ptest"), "user"));
        assert!(may_take(Some("install"), "install"));
    }
}
