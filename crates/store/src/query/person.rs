//! People and their secrets.

use crate::{Batch, Error, Row, Store, Value, statements};

/// A person or robot that owns tasks and jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Row id.
    pub id: i64,
    /// Who vouches for the subject.
    pub issuer: String,
    /// The subject, unique at its issuer.
    pub subject: String,
    /// Shown name; collides, never a key.
    pub name: String,
    /// Short name that the client uses in data set names.
    pub nickname: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// `active`.
    pub state: String,
}

impl Person {
    /// Who it is, for good: issuer and subject.
    #[must_use]
    pub fn key(&self) -> (&str, &str) {
        (&self.issuer, &self.subject)
    }
}

statements! {
    [hot] read BY_KEY = "person.by_key", "SELECT id, issuer, subject, name, nickname, email, state FROM person WHERE issuer = :issuer AND subject = :subject LIMIT 1";
    [hot] read BY_ID = "person.by_id", "SELECT id, issuer, subject, name, nickname, email, state FROM person WHERE id = :id LIMIT 1";
    [hot] read BY_NAME = "person.by_name", "SELECT id, issuer, subject, name, nickname, email, state FROM person WHERE name = :name LIMIT 20";
    read CALLED = "person.called", "SELECT id, issuer, subject, name, nickname, email, state FROM person WHERE subject = :name OR nickname = :name OR name = :name OR email = :name ORDER BY id LIMIT 50";
    insert ADD = "person.add" => person (id: Int, issuer: Text, subject: Text, name: Text, nickname: Text, email: Text, state: Text, created_us: Int), "";
    write RENAME = "person.rename", "UPDATE person SET name = :name, nickname = :nickname, email = :email WHERE id = :id";
    read SECRETS = "secret.list", "SELECT name, content FROM secret WHERE person_id = :person ORDER BY name LIMIT 1000";
    write SECRET_SET = "secret.set", "INSERT INTO secret (person_id, name, content) VALUES (:person, :name, :content) {upsert(person_id,name): content}";
    write SECRET_DELETE = "secret.delete", "DELETE FROM secret WHERE person_id = :person AND name = :name";
    write SECRET_CLEAR = "secret.clear", "DELETE FROM secret WHERE person_id = :person";
}

fn read(row: &Row) -> Result<Person, Error> {
    Ok(Person {
        id: row.int(0)?,
        issuer: row.text(1)?.to_owned(),
        subject: row.text(2)?.to_owned(),
        name: row.text(3)?.to_owned(),
        nickname: row.opt_text(4)?.map(str::to_owned),
        email: row.opt_text(5)?.map(str::to_owned),
        state: row.text(6)?.to_owned(),
    })
}

/// The person with this issuer and subject.
pub async fn by_key(store: &Store, issuer: &str, subject: &str) -> Result<Option<Person>, Error> {
    store.fetch(&BY_KEY, vec![("issuer", issuer.into()), ("subject", subject.into())]).await?.first().map(read).transpose()
}
/// The person of this row.
pub async fn by_id(store: &Store, id: i64) -> Result<Option<Person>, Error> {
    store.fetch(&BY_ID, vec![("id", id.into())]).await?.first().map(read).transpose()
}
/// People shown under this name; at most 20.
pub async fn by_name(store: &Store, name: &str) -> Result<Vec<Person>, Error> {
    store.fetch(&BY_NAME, vec![("name", name.into())]).await?.iter().map(read).collect()
}
/// People whose subject, short name, shown name or mail address this is; at most 50.
pub async fn called(store: &Store, name: &str) -> Result<Vec<Person>, Error> {
    store.fetch(&CALLED, vec![("name", name.into())]).await?.iter().map(read).collect()
}
/// Adds a person; a duplicate key means another process was first.
pub fn add(batch: &mut Batch, p: &Person, now_us: i64) {
    batch.insert(
        &ADD,
        vec![
            p.id.into(),
            (&p.issuer).into(),
            (&p.subject).into(),
            (&p.name).into(),
            p.nickname.as_deref().into(),
            p.email.as_deref().into(),
            (&p.state).into(),
            now_us.into(),
        ],
    );
}
/// Refreshes the shown attributes.
pub fn rename(batch: &mut Batch, id: i64, name: &str, nickname: Option<&str>, email: Option<&str>) {
    batch.exec(&RENAME, vec![("name", name.into()), ("nickname", nickname.into()), ("email", email.into()), ("id", id.into())]);
}
/// A person's secrets, by name; at most 1,000.
pub async fn secrets(store: &Store, person: i64) -> Result<Vec<(String, String)>, Error> {
    let rows = store.fetch(&SECRETS, vec![("person", person.into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.opt_text(1)?.unwrap_or_default().to_owned()))).collect()
}
/// Sets a secret.
pub fn set_secret(batch: &mut Batch, person: i64, name: &str, content: &str) {
    // An empty secret is kept as one blank: text is never ''.
    let content = if content.is_empty() { Value::Text(" ".into()) } else { content.into() };
    batch.exec(&SECRET_SET, vec![("person", person.into()), ("name", name.into()), ("content", content)]);
}
/// Deletes one secret, or all when `name` is None.
pub fn delete_secret(batch: &mut Batch, person: i64, name: Option<&str>) {
    match name {
        Some(name) => batch.exec(&SECRET_DELETE, vec![("person", person.into()), ("name", name.into())]),
        None => batch.exec(&SECRET_CLEAR, vec![("person", person.into())]),
    };
}
