//! Opening, migrating, refusing.

use panda_store::{
    OpenError, Store, migration_plan, schema,
    testing::{Backend, TestDb},
};

pub async fn the_schema_is_recorded(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    assert!(migration_plan(db.url()).await.unwrap().len() >= schema::version());
    let e = Store::open(db.url(), false).await.unwrap_err();
    assert!(matches!(e, OpenError::Older { found: 0, .. }), "{e}");
    let store = db.open().await;
    assert_eq!(store.schema_found().await.unwrap(), schema::version());
    store.close().await;
    drop(store);
    assert!(migration_plan(db.url()).await.unwrap().is_empty());
    Store::open(db.url(), false).await.unwrap().close().await;
}

pub async fn a_newer_or_foreign_schema_is_refused(backend: Backend) {
    let db = TestDb::fresh(backend).await.unchecked();
    db.open().await.close().await;
    db.run(&[format!("INSERT INTO migration (step, hash, applied_us) VALUES ({}, 'x', 0)", schema::version() + 1)]).await;
    let e = Store::open(db.url(), true).await.unwrap_err();
    assert!(matches!(e, OpenError::Newer { .. }), "{e}");
    assert!(e.to_string().contains("use a newer `panda`"), "{e}");
    db.run(&["UPDATE migration SET hash = 'y' WHERE step = 3".to_owned()]).await;
    let e = Store::open(db.url(), true).await.unwrap_err();
    assert!(matches!(e, OpenError::Differs { step: 3, .. }), "{e}");
}

pub async fn a_restart_continues_half_a_migration(backend: Backend) {
    let db = TestDb::fresh(backend).await;
    db.open().await.close().await;
    // As if the last steps had not run, and on backends whose DDL commits by itself: as if one had run and its record had been lost.
    let last = schema::version();
    db.run(&[format!("DELETE FROM migration WHERE step = {last}")]).await;
    let plan = migration_plan(db.url()).await.unwrap();
    let made: Vec<&str> = plan[0].split_whitespace().take(3).collect();
    let ["CREATE", "TABLE", table] = made[..] else { panic!("the last step should make a table: {plan:?}") };
    db.run(&[format!("DROP TABLE {table}")]).await;
    db.open().await.close().await;
    if backend != Backend::Sqlite && backend != Backend::Postgres {
        db.run(&[format!("DELETE FROM migration WHERE step = {last}")]).await;
    }
    let store = db.open().await;
    assert_eq!(store.schema_found().await.unwrap(), last);
    store.close().await;
    assert!(migration_plan(db.url()).await.unwrap().is_empty());
}

async fn refusal(url: &str) -> (OpenError, String) {
    let e = Store::open(url, true).await.err().unwrap_or_else(|| panic!("{url} was opened"));
    let text = e.to_string();
    assert!(!text.contains("geheim"), "{text}");
    assert!(!text.contains('\n'), "one sentence: {text}");
    (e, text)
}

pub async fn refusals_are_one_clear_sentence(backend: Backend) {
    // Left empty, so that the first thing wanted is the right to make a table.
    let db = TestDb::fresh(backend).await.unchecked();
    match backend {
        Backend::Sqlite => sqlite_refusals(&db).await,
        Backend::Postgres => {
            let user = format!("panda_poor_{}", std::process::id());
            db.run(&[format!("CREATE ROLE {user} LOGIN")]).await;
            server_refusals(&db, "postgres", &user).await;
            db.run(&[format!("DROP OWNED BY {user}"), format!("DROP ROLE {user}")]).await;
        }
        Backend::Mysql | Backend::RealMysql => {
            let user = format!("panda_poor_{}", std::process::id());
            db.run(&[format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'geheim'"), format!("GRANT SELECT ON *.* TO '{user}'@'%'")]).await;
            server_refusals(&db, "root", &format!("{user}:geheim")).await;
            db.run(&[format!("DROP USER '{user}'@'%'")]).await;
        }
    }
}

async fn sqlite_refusals(db: &TestDb) {
    let store = db.open().await;
    let (e, text) = refusal(db.url()).await;
    assert!(matches!(&e, OpenError::Locked { pid, .. } if *pid == std::process::id().to_string()), "{text}");
    assert!(text.contains("in use by process"), "{text}");
    store.close().await;
    let (e, text) = refusal("sqlite:/no/such/folder/panda.db").await;
    assert!(matches!(e, OpenError::Unreachable { .. }) && text.contains("`/no/such/folder` does not exist"), "{text}");
    let other = db.url().strip_prefix("sqlite:").unwrap().replace("panda.db", "other.db");
    std::fs::write(&other, "this is not a database, whatever it may be").unwrap();
    let (_, text) = refusal(&format!("sqlite:{other}")).await;
    assert!(text.contains("not an SQLite database"), "{text}");
    let (e, text) = refusal("sqlite::memory:").await;
    assert!(matches!(e, OpenError::Url { .. }) && text.contains("in-memory"), "{text}");
}

/// `owner` is the user in the test's URL, `poor` a login without the right to make tables.
async fn server_refusals(db: &TestDb, owner: &str, poor: &str) {
    let (head, name) = db.url().rsplit_once('/').unwrap();
    let (scheme, host) = head.split_once("://").unwrap();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let (e, text) = refusal(&format!("{scheme}://{owner}:geheim@127.0.0.1:1/{name}")).await;
    assert!(matches!(e, OpenError::Unreachable { .. }) && text.contains("cannot be reached"), "{text}");
    let (e, text) = refusal(&format!("{scheme}://nobody_at_all:geheim@{host}/{name}")).await;
    assert!(matches!(e, OpenError::Login { .. }) && text.contains("refused the login"), "{text}");
    let (e, text) = refusal(&format!("{head}/no_such_database")).await;
    assert!(matches!(e, OpenError::Unreachable { .. }) && text.contains("CREATE DATABASE"), "{text}");
    let (e, text) = refusal(&format!("{scheme}://{poor}@{host}/{name}")).await;
    assert!(matches!(e, OpenError::Right { .. }) && text.contains("GRANT"), "{text}");
    let (e, text) = refusal(&format!("{scheme}://{owner}:geheim@{host}/")).await;
    assert!(matches!(e, OpenError::Url { .. }) && text.contains("names no database"), "{text}");
}
