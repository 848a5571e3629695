//! SQL texts of claims and heartbeats.

use crate::statements;

statements! {}
