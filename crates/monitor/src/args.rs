//! The query of a page: reading it, within bounds, and writing it into links. The complete state of a page is in its URL.

use panda_store::query::MAX_PAGE;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::trouble::Trouble;

/// Rows of a list when the URL does not say.
pub(crate) const DEFAULT_ROWS: i64 = 100;
/// Longest value that a filter may have.
const MAX_VALUE: usize = 200;
/// Most days that a filter may look back: a century means "ever".
const MAX_DAYS: i64 = 36_500;
/// Keys that need no value; of others an empty value says nothing (forms send them) and is left out of links.
const FLAGS: [&str; 2] = ["json", "datasets"];
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// What is written as `%XX` in a query or path segment; blank included.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'=')
    .add(b'\'')
    .add(b'`');

/// Text for a place in a URL.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Keys and values in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(pub Vec<(String, String)>);

impl Query {
    /// The first value of the first of these names that has one; blanks at the ends do not count, nor do empty values.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        let found = |name: &&str| self.0.iter().find(|(k, v)| k == name && !v.trim().is_empty()).map(|(_, v)| v.trim());
        names.iter().find_map(found)
    }
    /// Whether a flag is there and not switched off.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|(k, v)| k == name && !matches!(v.as_str(), "0" | "false" | "no" | "off"))
    }
    /// A text of bounded length.
    pub(crate) fn text(&self, names: &[&str]) -> Result<Option<&str>, Trouble> {
        match self.get(names) {
            Some(v) if v.len() > MAX_VALUE => Err(Trouble::bad(format!("{}: at most {MAX_VALUE} characters", names[0]))),
            found => Ok(found),
        }
    }
    /// A whole number.
    pub(crate) fn int(&self, names: &[&str]) -> Result<Option<i64>, Trouble> {
        let Some(v) = self.get(names) else { return Ok(None) };
        let shown: String = v.chars().take(40).collect();
        v.parse().map(Some).map_err(|_| Trouble::bad(format!("{}: `{shown}` is no whole number", names[0])))
    }
    /// `limit`: rows of the page, from 1 to [`MAX_PAGE`]; larger wishes are cut, as the page says by its `Older` link.
    pub(crate) fn limit(&self) -> Result<i64, Trouble> {
        match self.int(&["limit"])? {
            Some(n) if n < 1 => Err(Trouble::bad("limit: at least 1")),
            Some(n) => Ok(n.min(MAX_PAGE)),
            None => Ok(DEFAULT_ROWS),
        }
    }
    /// `days` or `hours` back from now as an instant; 0 = ever.
    pub(crate) fn since(&self, now_us: i64) -> Result<i64, Trouble> {
        let back = match (self.int(&["days"])?, self.int(&["hours"])?) {
            (Some(days), _) => days.clamp(0, MAX_DAYS) * DAY_US,
            (None, Some(hours)) => hours.clamp(0, MAX_DAYS * 24) * (DAY_US / 24),
            (None, None) => return Ok(0),
        };
        Ok((now_us - back).max(0))
    }
    /// A comma or `|` list of words, each read by `parse`.
    pub(crate) fn words<T>(&self, names: &[&str], parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Trouble> {
        let Some(list) = self.text(names)? else { return Ok(Vec::new()) };
        let words = list.split([',', '|']).map(str::trim).filter(|w| !w.is_empty());
        words.map(|w| parse(w).map_err(Trouble::bad)).collect()
    }
    /// This query as a link to `path`, with some keys set, or taken out by None.
    pub(crate) fn link(&self, path: &str, changes: &[(&str, Option<&str>)]) -> String {
        let says = |k: &str, v: &str| !v.is_empty() || FLAGS.contains(&k);
        let kept = self.0.iter().filter(|(k, v)| says(k, v) && changes.iter().all(|c| c.0 != k)).map(|(k, v)| (k.as_str(), v.as_str()));
        let set = changes.iter().filter_map(|(k, v)| v.map(|v| (*k, v)));
        let pairs: Vec<String> = kept
            .chain(set)
            .map(|(k, v)| if v.is_empty() { encode(k) } else { format!("{}={}", encode(k), utf8_percent_encode(v, ENCODED)) })
            .collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn values_have_bounds() {
        let q = query(&[("limit", "5000"), ("days", "7"), ("owner", ""), ("username", " alice ")]);
        assert_eq!(q.limit().unwrap(), MAX_PAGE);
        assert_eq!(q.since(8 * DAY_US).unwrap(), DAY_US);
        assert_eq!(q.text(&["owner", "username"]).unwrap(), Some("alice"));
        assert!(query(&[("limit", "0")]).limit().is_err());
        assert!(query(&[("limit", "x")]).limit().is_err());
        assert!(query(&[("owner", &"x".repeat(201))]).text(&["owner"]).is_err());
        assert_eq!(query(&[]).since(5).unwrap(), 0);
        assert_eq!(query(&[("hours", "1")]).since(5).unwrap(), 0);
    }

    #[test]
    fn links_keep_the_rest() {
        let q = query(&[("state", "done,failed"), ("before", "7"), ("owner", "a&b c")]);
        assert_eq!(q.link("/tasks/", &[("before", Some("5"))]), "/tasks/?state=done,failed&owner=a%26b%20c&before=5");
        assert_eq!(query(&[("x", "1")]).link("/", &[("x", None)]), "/");
        assert_eq!(query(&[]).link("/", &[("json", Some(""))]), "/?json");
    }

    #[test]
    fn flags_and_lists() {
        assert!(query(&[("json", "")]).flag("json") && query(&[("json", "1")]).flag("json"));
        assert!(!query(&[("json", "0")]).flag("json") && !query(&[]).flag("json"));
        let q = query(&[("state", "a,b | c")]);
        assert_eq!(q.words(&["state"], |w| Ok(w.to_owned())).unwrap(), ["a", "b", "c"]);
        assert!(q.words(&["state"], |_| Err::<(), _>("no".into())).is_err());
    }
}
