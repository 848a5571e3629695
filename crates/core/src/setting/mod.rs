//! Settings: named values with a shipped default that a site changes at run time, for a VO, a label, both, or all.
//!
//! Each area has a file with its table; [`areas`] lists them. Whoever needs a value names the [`Setting`] and the VO and label that it is for
//! ([`Values`] finds it). It must not know where values are stored, nor what they decide.

pub mod brake;
pub mod broker;
pub mod dispatch;
pub mod feed;
pub mod job_timer;
pub mod notify;
pub mod nucleus;
pub mod plugin;
pub mod rebroker;
pub mod retention;
pub mod scout;
pub mod task;
pub mod task_retry;
pub mod task_timer;
pub mod usage;

use std::collections::BTreeMap;

/// Stands for any VO or label.
pub const ANY: &str = "*";

/// A value that a setting can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// A whole number.
    Int(i64),
    /// A whole number that is not given unless somebody gives it.
    NoInt,
    /// A number.
    Float(f64),
    /// A number that is not given unless somebody gives it.
    NoFloat,
    /// Text; the empty one means "not given".
    Text(&'static str),
    /// Yes or no.
    Flag(bool),
}

impl Default {
    /// The kind, as people write it.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Int(_) | Self::NoInt => "whole number",
            Self::Float(_) | Self::NoFloat => "number",
            Self::Text(_) => "text",
            Self::Flag(_) => "true or false",
        }
    }
    /// As text; empty when nothing is given.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Int(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
            Self::Text(t) => t.to_owned(),
            Self::Flag(f) => f.to_string(),
            Self::NoInt | Self::NoFloat => String::new(),
        }
    }
}

/// For whom a value can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// For a VO, a label, both, or all.
    Each,
    /// For a VO, or all: where it is read the label is not known.
    Vo,
    /// Only for all: where it is read neither is known.
    All,
}

impl Scope {
    /// As people read it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Each => "for a VO, a label, both, or all",
            Self::Vo => "for a VO, or all",
            Self::All => "for all VOs and labels",
        }
    }
}

/// What a text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Anything.
    Free,
    /// Terms of the broker's weight with their exponents.
    Weight,
    /// Powers of CPUs.
    Powers,
}

/// A setting.
#[derive(Debug, PartialEq)]
pub struct Setting {
    /// Name, `area.words_unit`.
    pub name: &'static str,
    /// Shipped value.
    pub default: Default,
    /// Least and greatest value of a number.
    pub range: (f64, f64),
    /// Where the value comes from: section of the specification, and upstream's key when it has one.
    pub source: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    /// For whom a value can be given.
    pub scope: Scope,
    /// What a text must be.
    pub form: Form,
}

impl Setting {
    /// A whole number of at least 0.
    #[must_use]
    pub const fn int(name: &'static str, default: i64, source: &'static str, about: &'static str) -> Self {
        Self { name, default: Default::Int(default), range: (0.0, 9e15), source, about, scope: Scope::Each, form: Form::Free }
    }
    /// A whole number of at least 0 that is off until it is given.
    #[must_use]
    pub const fn no_int(name: &'static str, source: &'static str, about: &'static str) -> Self {
        Self { name, default: Default::NoInt, range: (0.0, 9e15), source, about, scope: Scope::Each, form: Form::Free }
    }
    /// A number of at least 0.
    #[must_use]
    pub const fn float(name: &'static str, default: f64, source: &'static str, about: &'static str) -> Self {
        Self { name, default: Default::Float(default), range: (0.0, 9e15), source, about, scope: Scope::Each, form: Form::Free }
    }
    /// A number of at least 0 that is off until it is given.
    #[must_use]
    pub const fn no_float(name: &'static str, source: &'static str, about: &'static str) -> Self {
        Self { name, default: Default::NoFloat, range: (0.0, 9e15), source, about, scope: Scope::Each, form: Form::Free }
    }
    /// Text.
    #[must_use]
    pub const fn text(name: &'static str, default: &'static str, source: &'static str, about: &'static str) -> Self {
        Self { name, default: Default::Text(default), range: (0.0, 0.0), source, about, scope: Scope::Each, form: Form::Free }
    }
    /// Yes or no.
    #[must_use]
    pub const fn flag(name: &'static str, default: bool, source: &'static str, about: &'static str) -> Self {
        Self { name, default: Default::Flag(default), range: (0.0, 0.0), source, about, scope: Scope::Each, form: Form::Free }
    }
    /// The same with other bounds.
    #[must_use]
    pub const fn within(self, least: f64, most: f64) -> Self {
        Self { range: (least, most), ..self }
    }
    /// The same with one value for all VOs and labels.
    #[must_use]
    pub const fn for_all(self) -> Self {
        Self { scope: Scope::All, ..self }
    }
    /// The same with one value for all labels of a VO.
    #[must_use]
    pub const fn for_vos(self) -> Self {
        Self { scope: Scope::Vo, ..self }
    }
    /// The same with a text of this form.
    #[must_use]
    pub const fn of(self, form: Form) -> Self {
        Self { form, ..self }
    }
    /// Whether a value for this VO and label ([`ANY`] = all) would have an effect.
    ///
    /// # Errors
    /// A sentence that says for whom a value can be given.
    pub fn check_scope(&self, vo: &str, label: &str) -> Result<(), String> {
        let what = match self.scope {
            Scope::Vo if label != ANY => "give no label",
            Scope::All if vo != ANY || label != ANY => "give neither VO nor label",
            _ => return Ok(()),
        };
        Err(format!("{} holds {}: {what}", self.name, self.scope.text()))
    }
    /// Reads a value strictly.
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let wrong = |what: String| Err(format!("`{value}` is no value for {}: {what}", self.name));
        let number = match self.default {
            Default::Text(_) => {
                return match self.form {
                    Form::Free => Ok(()),
                    Form::Weight => crate::policy::broker::terms(value).map(drop).or_else(wrong),
                    Form::Powers => crate::policy::usage::powers(value).map(drop).or_else(wrong),
                };
            }
            Default::Flag(_) if matches!(value, "true" | "false") => return Ok(()),
            Default::Int(_) | Default::NoInt => value.parse::<i64>().ok().map(|n| {
                #[expect(clippy::cast_precision_loss, reason = "compared with a bound")]
                let n = n as f64;
                n
            }),
            Default::Float(_) | Default::NoFloat => value.parse::<f64>().ok().filter(|n| n.is_finite()),
            Default::Flag(_) => None,
        };
        match number {
            None => wrong(format!("a {} is expected", self.default.kind())),
            Some(n) if n < self.range.0 || n > self.range.1 => wrong(format!("it must be between {} and {}", self.range.0, self.range.1)),
            Some(_) => Ok(()),
        }
    }
}

/// The tables of all areas.
#[must_use]
pub const fn areas() -> &'static [&'static [&'static Setting]] {
    &[
        broker::ALL,
        dispatch::ALL,
        feed::ALL,
        job_timer::ALL,
        notify::ALL,
        nucleus::ALL,
        plugin::ALL,
        rebroker::ALL,
        task::ALL,
        task_timer::ALL,
        task_retry::ALL,
        brake::ALL,
        retention::ALL,
        scout::ALL,
        usage::ALL,
    ]
}

/// The setting of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Setting> {
    areas().iter().flat_map(|area| area.iter()).copied().find(|s| s.name == name)
}

/// A value that somebody gave: (name, VO or [`ANY`], label or [`ANY`]).
pub type Key = (String, String, String);

/// The values that differ from the defaults.
#[derive(Debug, Clone, PartialEq, Eq, core::default::Default)]
pub struct Values(BTreeMap<Key, String>);

impl Values {
    /// Values as stored. What is unknown to this program or does not fit is left out and told in the second part.
    #[must_use]
    pub fn new(given: impl IntoIterator<Item = (Key, String)>) -> (Self, Vec<String>) {
        let (mut kept, mut problems) = (BTreeMap::new(), Vec::new());
        for (key, value) in given {
            match by_name(&key.0).map(|s| s.check(&value).and_then(|()| s.check_scope(&key.1, &key.2))) {
                Some(Ok(())) => {
                    kept.insert(key, value);
                }
                Some(Err(e)) => problems.push(e),
                None => problems.push(format!("setting {} is unknown to this program", key.0)),
            }
        }
        (Self(kept), problems)
    }
    /// What is given for this VO and label: for both, for the VO, for the label, for all.
    fn given(&self, s: &Setting, vo: &str, label: &str) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let at = |vo: &str, label: &str| self.0.get(&(s.name.to_owned(), vo.to_owned(), label.to_owned()));
        at(vo, label).or_else(|| at(vo, ANY)).or_else(|| at(ANY, label)).or_else(|| at(ANY, ANY)).map(String::as_str)
    }
    /// A whole number; 0 for a setting that has none.
    #[must_use]
    pub fn int(&self, s: &Setting, vo: &str, label: &str) -> i64 {
        self.opt_int(s, vo, label).unwrap_or(0)
    }
    /// A whole number, if it is given.
    #[must_use]
    pub fn opt_int(&self, s: &Setting, vo: &str, label: &str) -> Option<i64> {
        let default = if let Default::Int(n) = s.default { Some(n) } else { None };
        self.given(s, vo, label).and_then(|v| v.parse().ok()).or(default)
    }
    /// A number; 0 for a setting that has none.
    #[must_use]
    pub fn float(&self, s: &Setting, vo: &str, label: &str) -> f64 {
        self.opt_float(s, vo, label).unwrap_or(0.0)
    }
    /// A number, if it is given.
    #[must_use]
    pub fn opt_float(&self, s: &Setting, vo: &str, label: &str) -> Option<f64> {
        let default = if let Default::Float(n) = s.default { Some(n) } else { None };
        self.given(s, vo, label).and_then(|v| v.parse().ok()).or(default)
    }
    /// Text.
    #[must_use]
    pub fn text<'a>(&'a self, s: &Setting, vo: &str, label: &str) -> &'a str {
        let default = if let Default::Text(t) = s.default { t } else { "" };
        self.given(s, vo, label).unwrap_or(default)
    }
    /// Yes or no.
    #[must_use]
    pub fn flag(&self, s: &Setting, vo: &str, label: &str) -> bool {
        self.given(s, vo, label).map_or(s.default == Default::Flag(true), |v| v == "true")
    }
    /// The smallest whole number above 0 that holds for any VO and label; 0 when there is none. The shipped value holds for nobody when another is given
    /// for all.
    #[must_use]
    pub fn least_int(&self, s: &Setting) -> i64 {
        let given = || self.0.iter().filter(|(key, _)| key.0 == s.name);
        let for_all = given().any(|(key, _)| key.1 == ANY && key.2 == ANY);
        let default = if let (Default::Int(n), false) = (&s.default, for_all) { *n } else { 0 };
        given().filter_map(|(_, v)| v.parse().ok()).chain([default]).filter(|n| *n > 0).min().unwrap_or(0)
    }
    /// Everything given, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &String)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: &Setting = &task_timer::PENDING_RETRY_S;

    fn values(given: &[(&str, &str, &str)]) -> Values {
        let rows = given.iter().map(|(vo, label, v)| ((WAIT.name.to_owned(), (*vo).to_owned(), (*label).to_owned()), (*v).to_owned()));
        let (values, problems) = Values::new(rows);
        assert_eq!(problems, Vec::<String>::new());
        values
    }

    #[test]
    fn the_closest_value_holds() {
        let v = values(&[("*", "*", "1"), ("*", "user", "2"), ("amber", "*", "3"), ("amber", "user", "4")]);
        let at = |vo, label| v.int(WAIT, vo, label);
        assert_eq!((at("amber", "user"), at("amber", "managed"), at("flint", "user"), at("flint", "managed")), (4, 3, 2, 1));
        assert_eq!(Default::Int(Values::default().int(WAIT, "amber", "user")), WAIT.default);
        assert_eq!((v.least_int(WAIT), Values::default().least_int(WAIT)), (1, WAIT.default.text().parse().unwrap()));
        let more: i64 = WAIT.default.text().parse::<i64>().unwrap() * 2;
        let longer = |label: &str| values(&[(ANY, label, more.to_string().as_str())]).least_int(WAIT);
        assert_eq!((longer(ANY), longer("user")), (more, more / 2), "the shipped value holds for nobody when there is another for all");
    }

    #[test]
    fn values_that_do_not_fit_are_told() {
        assert_eq!(WAIT.check("x").unwrap_err(), format!("`x` is no value for {}: a whole number is expected", WAIT.name));
        assert_eq!(WAIT.check("-1").unwrap_err(), format!("`-1` is no value for {}: it must be between 0 and 9000000000000000", WAIT.name));
        let key = |name: &str| (name.to_owned(), ANY.to_owned(), ANY.to_owned());
        let (kept, problems) = Values::new([(key("nonsense"), "1".to_owned()), (key(WAIT.name), "soon".to_owned())]);
        assert_eq!((kept.iter().count(), problems.len()), (0, 2));
    }

    #[test]
    fn a_value_is_given_for_whom_it_can_hold() {
        let said = |s: &Setting, vo: &str, label: &str| s.check_scope(vo, label).err();
        assert_eq!((said(WAIT, "amber", "user"), said(&dispatch::MEMORY_PERCENT, "amber", ANY)), (None, None));
        let label = said(&dispatch::MEMORY_PERCENT, ANY, "user").unwrap();
        assert_eq!(label, "dispatch.memory_percent holds for a VO, or all: give no label");
        let vo = said(&brake::RATE, "amber", ANY).unwrap();
        assert_eq!(vo, "brake.rate holds for all VOs and labels: give neither VO nor label");
        assert!(said(&brake::RATE, ANY, "user").is_some() && said(&brake::RATE, ANY, ANY).is_none());
        let rate = |vo: &str| ((brake::RATE.name.to_owned(), vo.to_owned(), ANY.to_owned()), "0.5".to_owned());
        let (kept, problems) = Values::new([rate("amber"), rate(ANY)]);
        assert_eq!((kept.iter().count(), problems), (1, vec![vo]), "what was stored before this was asked");
        for s in brake::ALL {
            assert_eq!(s.scope, Scope::All, "{}", s.name);
        }
    }

    #[test]
    fn a_weight_that_makes_no_sense_is_no_value() {
        let wrong = |value: &str| broker::WEIGHT.check(value).unwrap_err();
        assert!(wrong("speed=1").starts_with("`speed=1` is no value for broker.weight: unknown term"), "{}", wrong("speed=1"));
        assert!(wrong("load=x").ends_with("an exponent of at least 0 is expected"));
        assert!(wrong("load=1,load=2").ends_with("load stands twice") && wrong(",").contains("no term is given"));
        assert_eq!(broker::WEIGHT.check("load=1, locality=0.5"), Ok(()));
    }

    #[test]
    fn every_setting_has_a_name_of_its_own_a_source_and_a_default_that_fits() {
        let all: Vec<&Setting> = areas().iter().flat_map(|a| a.iter()).copied().collect();
        let mut names: Vec<&str> = all.iter().map(|s| s.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len(), "two settings of one name");
        for s in all {
            assert!(s.name.split_once('.').is_some() && s.name.len() <= 80 && !s.source.is_empty() && !s.about.is_empty(), "{}", s.name);
            let text = s.default.text();
            if !text.is_empty() {
                assert_eq!(s.check(&text), Ok(()), "{}", s.name);
            }
        }
    }
}
