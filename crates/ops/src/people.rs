//! Callers as rows: owner = (issuer, subject), interned and cached.

use std::{collections::HashMap, sync::Arc};

use panda_access::{Object, Principal, Right, table};
use panda_store::{
    Batch, IdKind,
    query::person::{self, Person},
};
use parking_lot::RwLock;

use crate::{Ops, OpsError};

/// Most people kept in memory; the cache is emptied when it is full, the rows stay.
const MAX_CACHED: usize = 50_000;

/// Cache of people by (issuer, subject) and by row.
#[derive(Debug, Default)]
pub struct People {
    by_key: RwLock<HashMap<(String, String), Arc<Person>>>,
    by_id: RwLock<HashMap<i64, Arc<Person>>>,
}

impl People {
    fn keep(&self, p: Person) -> Arc<Person> {
        let p = Arc::new(p);
        let mut by_key = self.by_key.write();
        let mut by_id = self.by_id.write();
        if by_id.len() >= MAX_CACHED {
            by_key.clear();
            by_id.clear();
        }
        by_key.insert((p.issuer.clone(), p.subject.clone()), p.clone());
        by_id.insert(p.id, p.clone());
        p
    }
    /// Forgets everybody, after a change of state.
    pub fn clear(&self) {
        self.by_key.write().clear();
        self.by_id.write().clear();
    }
}

impl Ops {
    /// The caller's row; made at the first call, its shown names refreshed when they change.
    pub async fn person(&self, who: &Principal) -> Result<Arc<Person>, OpsError> {
        let key = (who.issuer.clone(), who.subject.clone());
        if let Some(p) = self.people.by_key.read().get(&key)
            && p.name == who.name
        {
            return Ok(p.clone());
        }
        let nickname = Some(who.nickname.clone()).filter(|n| !n.is_empty());
        if let Some(mut p) = person::by_key(&self.store, &who.issuer, &who.subject).await? {
            if p.name != who.name || p.nickname != nickname || p.email != who.email {
                let mut batch = Batch::new();
                person::rename(&mut batch, p.id, &who.name, nickname.as_deref(), who.email.as_deref());
                self.store.apply(batch).await?;
                (p.name, p.nickname, p.email) = (who.name.clone(), nickname, who.email.clone());
            }
            return Ok(self.people.keep(p));
        }
        let p = Person {
            id: self.store.id(IdKind::Row).await?,
            issuer: who.issuer.clone(),
            subject: who.subject.clone(),
            name: who.name.clone(),
            nickname,
            email: who.email.clone(),
            state: "active".into(),
        };
        let mut batch = Batch::new();
        person::add(&mut batch, &p, self.now().0);
        match self.store.apply(batch).await {
            Ok(()) => Ok(self.people.keep(p)),
            Err(e) if e.is_conflict() => {
                let p = person::by_key(&self.store, &who.issuer, &who.subject).await?;
                p.map(|p| self.people.keep(p)).ok_or_else(|| OpsError::Internal("a person's row vanished".into()))
            }
            Err(e) => Err(e.into()),
        }
    }
    /// Whether the caller may see what is of this VO and owner.
    pub(crate) async fn sees(&self, who: &Principal, vo: &str, person_id: i64) -> Result<bool, OpsError> {
        if table::allowed(Right::Read, Some(who), Some(Object::of_vo(vo))).is_ok() {
            return Ok(true);
        }
        let owner = self.person_by_id(person_id).await?;
        Ok(table::allowed(Right::Read, Some(who), Some(Object::owned(Some(owner.key()), vo))).is_ok())
    }
    /// The person of a row.
    pub async fn person_by_id(&self, id: i64) -> Result<Arc<Person>, OpsError> {
        if let Some(p) = self.people.by_id.read().get(&id) {
            return Ok(p.clone());
        }
        let p = person::by_id(&self.store, id).await?.ok_or_else(|| OpsError::Internal(format!("person {id} is missing")))?;
        Ok(self.people.keep(p))
    }
}
