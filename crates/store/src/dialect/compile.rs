//! Compiles a statement: fragments expanded, named binds numbered.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};

use super::{LIST_SIZES, fragments::expand};
use crate::{
    Error, MAX_IN_LIST,
    batch::Binds,
    stmt::{Dialect, Kind, Stmt},
    value::Value,
};

/// One value as the driver binds it, borrowed from the caller's binds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound<'a> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'a str),
    /// Only on a backend with arrays.
    Ints(&'a [i64]),
    /// Only on a backend with arrays.
    Texts(&'a [String]),
}

impl<'a> From<&'a Value> for Bound<'a> {
    fn from(v: &'a Value) -> Self {
        match v {
            Value::Null => Self::Null,
            Value::Int(v) => Self::Int(*v),
            Value::Real(v) => Self::Real(*v),
            Value::Text(v) => Self::Text(v),
            Value::Ints(v) => Self::Ints(v),
            Value::Texts(v) => Self::Texts(v),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Sql(String),
    Scalar(usize),
    List(usize),
}

/// A statement in one dialect.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The statement's name, for messages.
    pub name: &'static str,
    dialect: Dialect,
    parts: Vec<Part>,
    /// Scalar binds in order of first use.
    scalars: Vec<String>,
    /// List binds in order of first use.
    lists: Vec<String>,
    /// The text when it does not depend on the length of lists.
    fixed: Option<Arc<str>>,
    /// Texts by padded length of each list.
    sized: Mutex<BTreeMap<Vec<usize>, Arc<str>>>,
    /// Whether the statement inserts or updates: some backends count such a row twice.
    #[cfg_attr(not(feature = "mysql"), allow(dead_code))]
    pub upsert: bool,
}

impl Compiled {
    /// Compiles a read or write.
    pub(crate) fn new(stmt: &'static Stmt, dialect: Dialect) -> Result<Self, Error> {
        let source = if stmt.kind == Kind::Insert { insert_text(stmt, dialect) } else { stmt.text(dialect).to_owned() };
        Self::from_text(stmt.name, dialect, &source)
    }

    fn from_text(name: &'static str, dialect: Dialect, source: &str) -> Result<Self, Error> {
        let text = expand(name, dialect, source)?;
        let mut c = Self {
            name,
            dialect,
            parts: vec![],
            scalars: vec![],
            lists: vec![],
            fixed: None,
            sized: Mutex::default(),
            upsert: source.contains("{upsert"),
        };
        c.split(&text)?;
        if c.lists.is_empty() || dialect == Dialect::Postgres {
            c.fixed = Some(c.render(&[]).into());
        }
        Ok(c)
    }

    /// Cuts the text at its binds.
    fn split(&mut self, text: &str) -> Result<(), Error> {
        let mut sql = String::new();
        let mut chars = text.char_indices().peekable();
        let mut quote = None;
        while let Some((at, ch)) = chars.next() {
            if let Some(q) = quote {
                sql.push(ch);
                if ch == q {
                    quote = None;
                }
                continue;
            }
            if ch == '\'' || ch == '"' {
                quote = Some(ch);
            }
            let named = |next: &u8| next.is_ascii_alphabetic() || *next == b'_';
            if ch != ':' || !text.as_bytes().get(at + 1).is_some_and(named) || sql.ends_with(':') {
                sql.push(ch);
                continue;
            }
            let name: String = text[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            for _ in 0..name.len() {
                chars.next();
            }
            if chars.peek().is_some_and(|(_, c)| *c == '*') {
                chars.next();
                self.list(&mut sql, name, &mut chars)?;
            } else {
                self.parts.push(Part::Sql(std::mem::take(&mut sql)));
                let index = position(&mut self.scalars, name);
                self.parts.push(Part::Scalar(index));
            }
        }
        self.parts.push(Part::Sql(sql));
        if let Some(both) = self.lists.iter().find(|l| self.scalars.contains(l)) {
            return Err(self.wrong(&format!("bind :{both} is both a value and a list")));
        }
        Ok(())
    }

    fn list(&mut self, sql: &mut String, name: String, chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> Result<(), Error> {
        if !sql.ends_with(" IN (") || sql.ends_with("NOT IN (") || chars.peek().map(|(_, c)| *c) != Some(')') {
            // NOT IN over an empty list would be all rows on one backend and none on another.
            return Err(self.wrong(&format!("list :{name}* must be written `IN (:{name}*)`")));
        }
        if self.dialect == Dialect::Postgres {
            chars.next();
            sql.truncate(sql.len() - "IN (".len());
            sql.push_str("= ANY(");
        }
        self.parts.push(Part::Sql(std::mem::take(sql)));
        let index = position(&mut self.lists, name);
        self.parts.push(Part::List(index));
        if self.dialect == Dialect::Postgres {
            sql.push(')');
        }
        Ok(())
    }

    fn wrong(&self, problem: &str) -> Error {
        Error::Decode(format!("statement {}: {problem}", self.name))
    }

    /// The text for lists of these padded lengths.
    fn render(&self, sizes: &[usize]) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Sql(sql) => out.push_str(sql),
                Part::Scalar(i) => self.number(&mut out, *i),
                Part::List(i) if self.dialect == Dialect::Postgres => self.number(&mut out, self.scalars.len() + i),
                Part::List(i) => {
                    let base = self.scalars.len() + sizes[..*i].iter().sum::<usize>();
                    for k in 0..sizes[*i] {
                        if k > 0 {
                            out.push(',');
                        }
                        self.number(&mut out, base + k);
                    }
                }
            }
        }
        out
    }

    fn number(&self, out: &mut String, index: usize) {
        let _ = match self.dialect {
            Dialect::Sqlite => write!(out, "?{}", index + 1),
            Dialect::Postgres => write!(out, "${}", index + 1),
            Dialect::MariaDb | Dialect::MySql => write!(out, "?"),
        };
    }

    /// The text of a statement without lists (every bulk insert).
    pub(crate) fn text(&self) -> &str {
        self.fixed.as_deref().unwrap_or_default()
    }

    /// The names of all binds, sorted; for the catalogue test.
    #[cfg(test)]
    pub(crate) fn bind_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.scalars.iter().chain(&self.lists).map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The bind behind each placeholder, as the backend counts them.
    #[cfg(test)]
    pub(crate) fn placeholders(&self) -> Vec<&str> {
        if !matches!(self.dialect, Dialect::MariaDb | Dialect::MySql) {
            return self.scalars.iter().chain(&self.lists).map(String::as_str).collect();
        }
        let name = |part: &Part| match part {
            Part::Sql(_) => None,
            Part::Scalar(i) => Some(*i),
            Part::List(i) => Some(self.scalars.len() + i),
        };
        let names: Vec<&str> = self.scalars.iter().chain(&self.lists).map(String::as_str).collect();
        self.parts.iter().filter_map(name).map(|i| names[i]).collect()
    }

    /// The text with lists of one value, and its number of placeholders as the backend counts them.
    #[cfg(test)]
    pub(crate) fn sample(&self) -> (String, usize) {
        let sizes = vec![1; self.lists.len()];
        let text = self.fixed.as_deref().map_or_else(|| self.render(&sizes), str::to_owned);
        let n = match self.dialect {
            Dialect::MariaDb | Dialect::MySql => self.parts.iter().filter(|p| !matches!(p, Part::Sql(_))).count(),
            _ => self.scalars.len() + self.lists.len(),
        };
        (text, n)
    }

    /// The text and the values in the backend's order. A bind that is missing or unknown is an error.
    pub(crate) fn bind<'a>(&self, binds: &'a Binds) -> Result<(Arc<str>, Vec<Bound<'a>>), Error> {
        let find = |name: &str| {
            let mut found = binds.iter().filter(|(n, _)| *n == name).map(|(_, v)| v);
            match (found.next(), found.next()) {
                (Some(v), None) => Ok(v),
                (None, _) => Err(self.wrong(&format!("bind :{name} is missing"))),
                _ => Err(self.wrong(&format!("bind :{name} is given twice"))),
            }
        };
        if binds.len() != self.scalars.len() + self.lists.len()
            && let Some((unknown, _)) = binds.iter().find(|(n, _)| !self.scalars.iter().chain(&self.lists).any(|s| s == n))
        {
            return Err(self.wrong(&format!("bind :{unknown} is not in the text")));
        }
        let mut scalars = Vec::with_capacity(self.scalars.len());
        for name in &self.scalars {
            let value = find(name)?;
            // PostgreSQL takes arrays anywhere (`:hosts::text[]`).
            if matches!(value, Value::Ints(_) | Value::Texts(_)) && self.dialect != Dialect::Postgres {
                return Err(self.wrong(&format!("bind :{name} is a list, the text wants one value")));
            }
            scalars.push(Bound::from(value));
        }
        let mut lists = Vec::with_capacity(self.lists.len());
        for name in &self.lists {
            let value = find(name)?;
            let len = match value {
                Value::Ints(v) => v.len(),
                Value::Texts(v) => v.len(),
                _ => return Err(self.wrong(&format!("bind :{name} is one value, the text wants a list"))),
            };
            if len > MAX_IN_LIST {
                return Err(self.wrong(&format!("list :{name} has {len} values, at most {MAX_IN_LIST} are allowed")));
            }
            lists.push(value);
        }
        self.order(scalars, &lists)
    }

    fn order<'a>(&self, mut scalars: Vec<Bound<'a>>, lists: &[&'a Value]) -> Result<(Arc<str>, Vec<Bound<'a>>), Error> {
        if self.dialect == Dialect::Postgres {
            scalars.extend(lists.iter().map(|v| Bound::from(*v)));
        }
        let padded: Vec<Vec<Bound<'a>>> = if self.dialect == Dialect::Postgres { vec![] } else { lists.iter().map(|v| pad(v)).collect() };
        let text = match &self.fixed {
            Some(text) => Arc::clone(text),
            None => {
                let sizes: Vec<usize> = padded.iter().map(Vec::len).collect();
                Arc::clone(self.sized.lock().entry(sizes).or_insert_with_key(|sizes| self.render(sizes).into()))
            }
        };
        let positional = matches!(self.dialect, Dialect::MariaDb | Dialect::MySql);
        if !positional {
            scalars.extend(padded.into_iter().flatten());
            return Ok((text, scalars));
        }
        let mut out = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::Sql(_) => {}
                Part::Scalar(i) => out.push(scalars[*i]),
                Part::List(i) => out.extend(&padded[*i]),
            }
        }
        Ok((text, out))
    }
}

/// Repeats the last value up to the next of [`LIST_SIZES`]; an empty list becomes NULL, which no row equals.
fn pad(list: &Value) -> Vec<Bound<'_>> {
    let mut out: Vec<Bound<'_>> = match list {
        Value::Ints(v) => v.iter().map(|v| Bound::Int(*v)).collect(),
        Value::Texts(v) => v.iter().map(|v| Bound::Text(v)).collect(),
        _ => vec![],
    };
    let last = out.last().copied().unwrap_or(Bound::Null);
    let size = LIST_SIZES.into_iter().find(|s| *s >= out.len()).unwrap_or(MAX_IN_LIST);
    out.resize(size, last);
    out
}

fn position(names: &mut Vec<String>, name: String) -> usize {
    names.iter().position(|n| *n == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

/// The text of a one-row bulk insert (PostgreSQL: of any number of rows, one array a column).
fn insert_text(stmt: &Stmt, dialect: Dialect) -> String {
    let columns: Vec<&str> = stmt.columns.iter().map(|(n, _)| *n).collect();
    let values: Vec<String> = stmt
        .columns
        .iter()
        .map(|(name, ty)| match (dialect, ty) {
            (Dialect::Postgres, crate::stmt::Ty::Int) => format!(":{name}::bigint[]"),
            (Dialect::Postgres, crate::stmt::Ty::Real) => format!(":{name}::double precision[]"),
            (Dialect::Postgres, crate::stmt::Ty::Text) => format!(":{name}::text[]"),
            _ => format!(":{name}"),
        })
        .collect();
    let (columns, values, tail) = (columns.join(", "), values.join(", "), stmt.text(dialect));
    match dialect {
        Dialect::Postgres => format!("INSERT INTO {} ({columns}) SELECT * FROM unnest({values}) {tail}", stmt.table),
        _ => format!("INSERT INTO {} ({columns}) VALUES ({values}) {tail}", stmt.table),
    }
}

/// The compiled statements of one dialect, by the statement's address.
#[derive(Debug)]
pub(crate) struct Texts {
    dialect: Dialect,
    compiled: RwLock<HashMap<usize, Arc<Compiled>>>,
}

impl Texts {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, compiled: RwLock::default() }
    }
    /// The compiled form of `stmt`, made at the first call.
    pub(crate) fn get(&self, stmt: &'static Stmt) -> Result<Arc<Compiled>, Error> {
        let key = std::ptr::from_ref(stmt).addr();
        if let Some(found) = self.compiled.read().get(&key) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(Compiled::new(stmt, self.dialect)?);
        Ok(Arc::clone(self.compiled.write().entry(key).or_insert(made)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn compiled(dialect: Dialect, text: &str) -> Result<Compiled, Error> {
        Compiled::from_text("test.stmt", dialect, text)
    }
    fn text(dialect: Dialect, source: &str) -> String {
        compiled(dialect, source).unwrap().sample().0
    }

    #[test]
    fn binds_are_numbered_or_repeated() {
        let source = "SELECT a FROM t WHERE a = :x AND b = :y AND (:x IS NULL OR c = 'a:b') AND d::text = :y";
        assert_eq!(text(Dialect::Sqlite, source), "SELECT a FROM t WHERE a = ?1 AND b = ?2 AND (?1 IS NULL OR c = 'a:b') AND d::text = ?2");
        assert!(text(Dialect::Postgres, source).starts_with("SELECT a FROM t WHERE a = $1 AND b = $2 AND ($1 IS NULL"));
        let my = compiled(Dialect::MySql, source).unwrap();
        let binds = vec![("y", Value::Int(2)), ("x", Value::Int(1))];
        let (_, values) = my.bind(&binds).unwrap();
        assert_eq!(values, [Bound::Int(1), Bound::Int(2), Bound::Int(1), Bound::Int(2)]);
    }

    #[test]
    fn lists_are_padded_or_arrays() {
        let source = "SELECT a FROM t WHERE b = :b AND a IN (:ids*) AND c IN (:cs*)";
        assert_eq!(text(Dialect::Postgres, source), "SELECT a FROM t WHERE b = $1 AND a = ANY($2) AND c = ANY($3)");
        let lite = compiled(Dialect::Sqlite, source).unwrap();
        let binds = vec![("b", Value::Int(7)), ("ids", vec![1, 2].into()), ("cs", Value::Texts(vec![]))];
        let (sql, values) = lite.bind(&binds).unwrap();
        assert_eq!(&*sql, "SELECT a FROM t WHERE b = ?1 AND a IN (?2,?3,?4,?5) AND c IN (?6)");
        assert_eq!(values, [Bound::Int(7), Bound::Int(1), Bound::Int(2), Bound::Int(2), Bound::Int(2), Bound::Null]);
        assert!(compiled(Dialect::Sqlite, "SELECT a FROM t WHERE a NOT IN (:ids*)").is_err());
        let long = vec![("b", Value::Int(7)), ("ids", vec![1; 1001].into()), ("cs", Value::Texts(vec![]))];
        assert!(lite.bind(&long).unwrap_err().to_string().contains("1001 values"));
    }

    #[test]
    fn wrong_binds_name_the_statement() {
        let c = compiled(Dialect::Postgres, "UPDATE t SET a = :a WHERE b = :b").unwrap();
        let message = |binds: &Binds| c.bind(binds).unwrap_err().to_string();
        assert_eq!(message(&vec![("a", Value::Null)]), "database: statement test.stmt: bind :b is missing");
        assert!(message(&vec![("a", Value::Null), ("b", Value::Null), ("c", Value::Null)]).contains(":c is not in the text"));
        assert!(message(&vec![("a", Value::Null), ("a", Value::Null)]).contains("given twice"));
    }

    #[test]
    fn fragments() {
        let source = "INSERT INTO t (k, a) VALUES (:k, :a) {upsert(k): a, n = COALESCE(t.n, new.n)}";
        assert!(text(Dialect::Sqlite, source).ends_with("ON CONFLICT (k) DO UPDATE SET a = excluded.a, n = COALESCE(t.n, excluded.n)"));
        assert!(text(Dialect::MariaDb, source).ends_with("ON DUPLICATE KEY UPDATE a = VALUES(a), n = COALESCE(t.n, VALUES(n))"));
        assert!(text(Dialect::Postgres, "INSERT INTO t (k) VALUES (:k) {skip_dup(k)}").ends_with("ON CONFLICT (k) DO NOTHING"));
        assert!(text(Dialect::MySql, "INSERT INTO t (k) VALUES (:k) {skip_dup(k)}").ends_with("ON DUPLICATE KEY UPDATE k = k"));
        assert!(compiled(Dialect::Sqlite, "SELECT {nonsense}").is_err());
    }
}
