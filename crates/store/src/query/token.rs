//! API tokens: what robots and agents show instead of a log-in.

use crate::{Batch, Error, Row, Store, statements};

/// A token. Its text is kept nowhere, only its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Number.
    pub id: i64,
    /// SHA-256 of its text, hexadecimal.
    pub hash: String,
    /// Whose it is: who vouches for the subject.
    pub issuer: String,
    /// Whose it is: the subject.
    pub subject: String,
    /// Name to show of its holder.
    pub shown: String,
    /// What it says of itself and may, JSON.
    pub doc: String,
    /// Microseconds.
    pub created_us: i64,
    /// When it ends, microseconds.
    pub until_us: i64,
    /// When it was revoked, microseconds.
    pub revoked_us: Option<i64>,
}

statements! {
    [hot] read LIST = "token.list", "SELECT id, hash, issuer, subject, shown, doc, created_us, until_us, revoked_us FROM api_token WHERE id > :after ORDER BY id LIMIT :n";
    insert ADD = "token.add" => api_token (id: Int, hash: Text, issuer: Text, subject: Text, shown: Text, doc: Text, created_us: Int, until_us: Int, revoked_us: Int), "";
    write REVOKE = "token.revoke", "UPDATE api_token SET revoked_us = :now WHERE id = :id AND revoked_us IS NULL";
    write DELETE = "token.delete", "DELETE FROM api_token WHERE id = :id";
}

fn read(r: &Row) -> Result<TokenRow, Error> {
    Ok(TokenRow {
        id: r.int(0)?,
        hash: r.text(1)?.to_owned(),
        issuer: r.text(2)?.to_owned(),
        subject: r.text(3)?.to_owned(),
        shown: r.text(4)?.to_owned(),
        doc: r.text(5)?.to_owned(),
        created_us: r.int(6)?,
        until_us: r.int(7)?,
        revoked_us: r.opt_int(8)?,
    })
}

/// Every token by number.
pub async fn list(store: &Store) -> Result<Vec<TokenRow>, Error> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let rows = store.fetch(&LIST, vec![("after", after.into()), ("n", super::MAX_PAGE.into())]).await?;
        for r in &rows {
            let row = read(r)?;
            after = row.id;
            all.push(row);
        }
        if (rows.len() as i64) < super::MAX_PAGE {
            return Ok(all);
        }
    }
}
/// Adds a token.
pub fn add(batch: &mut Batch, t: &TokenRow) {
    batch.insert(
        &ADD,
        vec![
            t.id.into(),
            (&t.hash).into(),
            (&t.issuer).into(),
            (&t.subject).into(),
            (&t.shown).into(),
            (&t.doc).into(),
            t.created_us.into(),
            t.until_us.into(),
            t.revoked_us.into(),
        ],
    );
}
/// Revokes a token that is not yet revoked; else a conflict.
pub fn revoke(batch: &mut Batch, id: i64, now_us: i64) {
    batch.guard(&REVOKE, vec![("now", now_us.into()), ("id", id.into())], 1);
}
/// Forgets a token.
pub fn delete(batch: &mut Batch, id: i64) {
    batch.exec(&DELETE, vec![("id", id.into())]);
}
