//! A server on a fresh SQLite database, with callers of fixed names.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use panda_access::{AccessError, Identity, Principal, RequestIdentity, Role, Standing, bearer};
use panda_core::id::QueueId;
use panda_ops::Ops;
use panda_ops::clock::SystemClock;
use panda_server::ctx::{AuthDocuments, Bans, NoObserver, Options, ServerState};
use panda_server::serve;
use panda_store::query::queue::{self, QueueRow, RseRow};
use panda_store::{Batch, IdKind, Store};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt;

/// `Bearer <name>` is that person; `prod`, `pilot`, `harvester`, `vera` (vo-admin), `sam` (site-admin of SITE), `site` (pilot of every VO) and `op` have roles, `bad` is refused.
pub struct Names;

impl Identity for Names {
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError> {
        let Some(name) = bearer(request.authorization)? else { return Ok(None) };
        let roles = match name {
            name if name.contains('.') => return Err(AccessError::InvalidToken("nobody here signed it")),
            "bad" => return Err(AccessError::InvalidToken("signature is wrong")),
            "prod" => vec![Role::Production],
            "pilot" => vec![Role::Pilot],
            "harvester" => vec![Role::Harvester],
            "vera" => vec![Role::VoAdmin],
            _ => vec![],
        };
        Ok(Some(Arc::new(Principal {
            issuer: "test".into(),
            subject: name.into(),
            name: format!("{} Example", name.to_uppercase()),
            nickname: name.into(),
            vo: Some(request.origin.unwrap_or("amber").split([':', '.']).next().unwrap_or_default().to_owned()),
            roles: roles.into_iter().collect(),
            groups: vec!["amber".into(), "amber/calib/production".into()],
            email: None,
            standing: match name {
                "op" => Standing { roles: [Role::Operator].into(), ..Standing::default() },
                "site" => Standing { roles: [Role::Pilot].into(), ..Standing::default() },
                "sam" => Standing { roles: [Role::SiteAdmin].into(), sites: ["SITE".to_owned()].into(), scopes: None },
                _ => Standing::default(),
            },
        })))
    }
}

struct BanMallory;

impl Bans for BanMallory {
    fn is_banned(&self, principal: &Principal) -> bool {
        principal.subject == "mallory"
    }

    fn names(&self) -> Vec<String> {
        vec!["MALLORY Example".to_owned()]
    }
}

struct Papers;

impl AuthDocuments for Papers {
    fn document(&self, path: &str, base: &str) -> Option<Value> {
        path.strip_suffix("_auth_config.json").map(|vo| json!({"vo": vo, "base": base}))
    }
}

pub struct Server {
    pub folder: TempDir,
    pub state: Arc<ServerState>,
}

pub struct Reply {
    pub status: StatusCode,
    pub content_type: String,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// `status text`, for snapshots.
    pub fn line(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.text())
    }
}

/// Storage `S1` and queue `Q1`.
async fn stock(store: &Store) {
    let (rse, queue) = (store.id(IdKind::Row).await.unwrap(), store.id(IdKind::Row).await.unwrap());
    let mut batch = Batch::new();
    queue::add_rse(&mut batch, &RseRow { id: rse, name: "S1".into(), root: "/storage".into(), state: "active".into(), doc: None });
    let row = QueueRow {
        id: QueueId(queue),
        name: "Q1".into(),
        site: "SITE".into(),
        state: "online".into(),
        pilot_family: "native".into(),
        rse_id: rse,
        script_base: None,
        core_count: 1,
        max_ram_mb: 4000,
        max_disk_mb: 14336,
        max_walltime_s: 86400,
        doc: "{}".into(),
        rev: 1,
    };
    queue::add(&mut batch, &row, 1);
    store.apply(batch).await.unwrap();
}

pub async fn server() -> Server {
    server_of(&["amber"]).await
}

/// A server of these VOs.
pub async fn server_of(vos: &[&str]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}", folder.path().join("panda.db").display()), true).await.unwrap();
    stock(&store).await;
    let mut options = panda_ops::Options::new("http://127.0.0.1:25080", folder.path().join("data"));
    options.vos = vos.iter().map(|vo| (*vo).to_owned()).collect();
    let ops = Ops::new(store, Arc::new(SystemClock), options);
    ops.blobs.create().unwrap();
    let ops = Arc::new(ops);
    let runner = folder.path().join("runner");
    std::fs::write(&runner, b"\x7fELF the runner").unwrap();
    let state = ServerState {
        ops: ops.clone(),
        identity: Arc::new(Names),
        bans: Arc::new(BanMallory),
        limits: panda_server::limit::Limits::new(0),
        files: panda_server::file_server::store(&ops),
        auth: Arc::new(Papers),
        observer: Arc::new(NoObserver),
        options: Options {
            listen: "127.0.0.1:25080".parse().unwrap(),
            public_url: None,
            upload_folder: ops.blobs.incoming(),
            forwarded: panda_server::forwarded::Forwarded::default(),
            runner: Some(runner),
        },
    };
    Server { folder, state: Arc::new(state) }
}

/// A request under construction.
pub struct Ask {
    builder: http::request::Builder,
    body: Vec<u8>,
}

pub fn get(path: &str) -> Ask {
    Ask { builder: Request::builder().method(Method::GET).uri(path).header("host", "panda.example:25080"), body: vec![] }
}

pub fn post(path: &str) -> Ask {
    Ask { builder: Request::builder().method(Method::POST).uri(path).header("host", "panda.example:25080"), body: vec![] }
}

impl Ask {
    pub fn verb(mut self, verb: &str) -> Self {
        self.builder = self.builder.method(verb);
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn by(self, name: &str) -> Self {
        self.header("authorization", &format!("Bearer {name}"))
    }

    pub fn json(self, body: &Value) -> Self {
        let mut ask = self.header("content-type", "application/json");
        ask.body = body.to_string().into_bytes();
        ask
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// One file part as clients send it.
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        let mut body = format!(
            "--BOUND\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--BOUND--\r\n");
        self.header("content-type", "multipart/form-data; boundary=BOUND").body(body)
    }

    pub async fn send(self, server: &Server) -> Reply {
        let router = serve::fallback(serve::router(server.state.clone()), server.state.clone());
        let request = self.builder.body(Body::from(self.body)).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let content_type = response.headers().get("content-type").map_or("", |v| v.to_str().unwrap()).to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Reply { status, content_type, bytes }
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}
