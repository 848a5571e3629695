//! A unit of work: guarded statements that are applied together or not at all.

use crate::{
    stmt::{Kind, Stmt},
    value::Value,
    wake::Topic,
};

/// Most statements and rows one batch may hold; bulk work is cut into several batches so that others get their turn (DECISIONS "Writes").
pub const MAX_BATCH_ROWS: usize = 500;

/// How many rows a statement must touch for the batch to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any number (a commutative delta, an idempotent delete).
    Any,
    /// Exactly this many; otherwise the whole batch is a conflict.
    Rows(u64),
}

/// Binds of one execution, by name.
pub type Binds = Vec<(&'static str, Value)>;

/// One statement of a batch.
#[derive(Debug, Clone)]
pub enum Op {
    /// An UPDATE, DELETE or single INSERT with named binds.
    Exec {
        /// The statement.
        stmt: &'static Stmt,
        /// Its binds.
        binds: Binds,
        /// Guard on the number of rows.
        expect: Expect,
    },
    /// A bulk insert; a unique-key violation is a conflict.
    Insert {
        /// The statement, of kind [`Kind::Insert`].
        stmt: &'static Stmt,
        /// One value a column, in the order of `stmt.columns`.
        rows: Vec<Vec<Value>>,
    },
}

impl Op {
    /// The statement.
    #[must_use]
    pub fn stmt(&self) -> &'static Stmt {
        match self {
            Self::Exec { stmt, .. } | Self::Insert { stmt, .. } => stmt,
        }
    }
}

/// Guarded statements, applied atomically in order.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The statements.
    pub ops: Vec<Op>,
    /// Topics woken after the commit.
    pub wakes: Vec<Topic>,
    /// Whether its commit need not wait for the disk.
    pub relaxed: bool,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// The commit need not wait for the disk, where a database can do that for one transaction (PostgreSQL: `synchronous_commit`): for what the
    /// engine makes anew when it is not there. After a crash of the database server the last of it may be gone, whole batches, the newest first;
    /// never what a later batch that is not relaxed builds on. A crash of this process loses nothing.
    pub fn relax(&mut self) {
        self.relaxed = true;
    }
    /// Adds a statement that may touch any number of rows.
    pub(crate) fn exec(&mut self, stmt: &'static Stmt, binds: Binds) -> &mut Self {
        debug_assert!(stmt.kind == Kind::Write, "{} is not a write", stmt.name);
        self.ops.push(Op::Exec { stmt, binds, expect: Expect::Any });
        self
    }
    /// Adds a statement that must touch exactly `rows` rows.
    pub(crate) fn guard(&mut self, stmt: &'static Stmt, binds: Binds, rows: u64) -> &mut Self {
        debug_assert!(stmt.kind == Kind::Write, "{} is not a write", stmt.name);
        self.ops.push(Op::Exec { stmt, binds, expect: Expect::Rows(rows) });
        self
    }
    /// Adds rows to a table; consecutive inserts by the same statement are merged.
    pub(crate) fn insert(&mut self, stmt: &'static Stmt, row: Vec<Value>) -> &mut Self {
        debug_assert!(stmt.kind == Kind::Insert && row.len() == stmt.columns.len(), "{} binds", stmt.name);
        for op in self.ops.iter_mut().rev() {
            if let Op::Insert { stmt: s, rows } = op
                && std::ptr::eq(*s, stmt)
            {
                rows.push(row);
                return self;
            }
            // An insert may move in front of other inserts (no foreign keys), never in front of an update or delete.
            if matches!(op, Op::Exec { .. }) {
                break;
            }
        }
        self.ops.push(Op::Insert { stmt, rows: vec![row] });
        self
    }
    /// Adds a row of a history, which no other statement of the batch reads: all of one statement go in one insert, which stands
    /// behind the other rows that the batch begins with, if it does.
    pub(crate) fn log(&mut self, stmt: &'static Stmt, row: Vec<Value>) -> &mut Self {
        debug_assert!(stmt.kind == Kind::Insert && row.len() == stmt.columns.len(), "{} binds", stmt.name);
        for op in &mut self.ops {
            if let Op::Insert { stmt: s, rows } = op
                && std::ptr::eq(*s, stmt)
            {
                rows.push(row);
                return self;
            }
        }
        let at = match self.ops.iter().take_while(|op| matches!(op, Op::Insert { .. })).count() {
            0 => self.ops.len(),
            begins => begins,
        };
        self.ops.insert(at, Op::Insert { stmt, rows: vec![row] });
        self
    }
    /// Wakes `topic` after the commit.
    pub fn wake(&mut self, topic: Topic) -> &mut Self {
        if !self.wakes.contains(&topic) {
            self.wakes.push(topic);
        }
        self
    }
    /// Appends another batch.
    pub fn append(&mut self, other: Self) {
        self.ops.extend(other.ops);
        for topic in other.wakes {
            self.wake(topic);
        }
    }
    /// Number of statements and rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.iter().map(|op| if let Op::Insert { rows, .. } = op { rows.len() } else { 1 }).sum()
    }
    /// Whether there is nothing to apply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}
