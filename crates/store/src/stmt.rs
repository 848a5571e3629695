//! Statements: one SQL text each, with named binds and a few dialect fragments, and their compiled form.
//!
//! Binds are written `:name`; a list for `IN` is written `IN (:name*)`. Fragments are written in braces and are expanded by
//! [`crate::dialect`]. A [`Stmt`] can only be made by the [`statements!`](crate::statements) macro inside `crate::query`.

/// Which backend a text is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL 13 and later.
    Postgres,
    /// MariaDB 10.6 and later.
    MariaDb,
    /// MySQL 8.0 and later.
    MySql,
}

/// Whether a statement reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A SELECT; runs alone, outside any transaction of ours.
    Read,
    /// An INSERT, UPDATE or DELETE; runs inside a batch.
    Write,
    /// A bulk INSERT described by columns.
    Insert,
}

/// The type of a column of a bulk insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    /// 64-bit integer.
    Int,
    /// Double.
    Real,
    /// Text.
    Text,
}

/// One statement of the catalogue.
#[derive(Debug)]
pub struct Stmt {
    /// `noun.verb`, unique; shows in errors, metrics and the catalogue test.
    pub name: &'static str,
    /// Reads or writes.
    pub kind: Kind,
    /// The text (for [`Kind::Insert`]: the text behind the values, e.g. an upsert fragment, usually empty).
    pub sql: &'static str,
    /// Replaces `sql` on PostgreSQL.
    pub postgres: Option<&'static str>,
    /// Replaces `sql` on MariaDB and MySQL.
    pub mysql: Option<&'static str>,
    /// Replaces `sql` on SQLite.
    pub sqlite: Option<&'static str>,
    /// A hot statement must not plan a full scan (catalogue test).
    pub hot: bool,
    /// For [`Kind::Insert`]: the table.
    pub table: &'static str,
    /// For [`Kind::Insert`]: the columns, in bind order.
    pub columns: &'static [(&'static str, Ty)],
}

impl Stmt {
    /// The text for `dialect`, before fragments and binds are expanded.
    #[must_use]
    pub fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite.unwrap_or(self.sql),
            Dialect::Postgres => self.postgres.unwrap_or(self.sql),
            Dialect::MariaDb | Dialect::MySql => self.mysql.unwrap_or(self.sql),
        }
    }
}

/// Declares the statements of a module and lists them as `ALL`.
///
/// ```text
/// statements! {
///     /// Reads one job.
///     read GET = "job.get", "SELECT id FROM job WHERE id = :id";
///     [hot] read PEEK = "job.peek", "SELECT …";
///     write CLOSE = "job.close", "UPDATE …", postgres: "UPDATE …";
///     insert ADD = "job.add" => job (id: Int, name: Text), "";
/// }
/// ```
#[macro_export]
macro_rules! statements {
    (@hot hot) => { true };
    (@hot) => { false };
    (@kind read) => { $crate::stmt::Kind::Read };
    (@kind write) => { $crate::stmt::Kind::Write };
    (@opt) => { None };
    (@opt $t:expr) => { Some($t) };
    ($( $(#[$meta:meta])* $([$hot:ident])? $kind:ident $name:ident = $label:literal $(=> $table:ident ( $($col:ident : $ty:ident),* $(,)? ))? , $sql:expr $(, postgres: $pg:expr)? $(, mysql: $my:expr)? $(, sqlite: $lite:expr)? ; )*) => {
        $(
            $(#[$meta])*
            pub(crate) static $name: $crate::stmt::Stmt = $crate::statements!(@one [$($hot)?] $kind $label [$($table ($($col : $ty),*))?] $sql, [$($pg)?] [$($my)?] [$($lite)?]);
        )*
        /// Every statement of this module, for the catalogue.
        #[allow(dead_code, reason = "what only one backend runs is listed for the catalogue test")]
        pub(crate) static ALL: &[&$crate::stmt::Stmt] = &[$(&$name),*];
    };
    (@one [$($hot:ident)?] insert $label:literal [$table:ident ($($col:ident : $ty:ident),*)] $sql:tt, [$($pg:tt)?] [$($my:tt)?] [$($lite:tt)?]) => {
        $crate::stmt::Stmt {
            name: $label, kind: $crate::stmt::Kind::Insert, sql: $sql,
            postgres: $crate::statements!(@opt $($pg)?), mysql: $crate::statements!(@opt $($my)?), sqlite: $crate::statements!(@opt $($lite)?),
            hot: $crate::statements!(@hot $($hot)?), table: stringify!($table), columns: &[$((stringify!($col), $crate::stmt::Ty::$ty)),*],
        }
    };
    (@one [$($hot:ident)?] $kind:ident $label:literal [] $sql:tt, [$($pg:tt)?] [$($my:tt)?] [$($lite:tt)?]) => {
        $crate::stmt::Stmt {
            name: $label, kind: $crate::statements!(@kind $kind), sql: $sql,
            postgres: $crate::statements!(@opt $($pg)?), mysql: $crate::statements!(@opt $($my)?), sqlite: $crate::statements!(@opt $($lite)?),
            hot: $crate::statements!(@hot $($hot)?), table: "", columns: &[],
        }
    };
}
