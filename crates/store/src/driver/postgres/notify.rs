//! Wake-ups between processes by LISTEN and NOTIFY. They are hints: outside the transaction (NOTIFY inside one serialises commits), joined,
//! and lost when the connection is.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, channel::mpsc as pipe, future::poll_fn};
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Statement};

use crate::wake::{Topic, Wake};

/// Topics waiting to be sent; more are dropped, a period later somebody looks anyway.
const QUEUE: usize = 256;
/// Pause between two notifications, in which equal topics are joined.
const PAUSE: Duration = Duration::from_millis(5);
/// Pause before a lost connection is tried again.
const RECONNECT: Duration = Duration::from_secs(1);
/// Channel of the database.
const CHANNEL: &str = "panda_wake";

/// The task and its inbox.
pub(super) struct Notifier {
    topics: mpsc::Sender<Topic>,
    task: Mutex<JoinHandle<()>>,
}

impl Notifier {
    /// Starts listening.
    pub(super) fn start(config: Config, wake: Wake) -> Self {
        let (topics, inbox) = mpsc::channel(QUEUE);
        Self { topics, task: Mutex::new(tokio::spawn(run(config, wake, inbox))) }
    }
    /// Tells other processes.
    pub(super) fn send(&self, topic: Topic) {
        let _ = self.topics.try_send(topic);
    }
    /// Ends listening.
    pub(super) fn stop(&self) {
        self.task.lock().abort();
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn run(config: Config, wake: Wake, mut inbox: mpsc::Receiver<Topic>) {
    let mut again = false;
    loop {
        match session(&config, &wake, &mut inbox, again).await {
            Ok(()) => return,
            Err(e) => tracing::warn!(error = %e, "wake-ups from other processes are delayed: no connection"),
        }
        again = true;
        tokio::time::sleep(RECONNECT).await;
    }
}

/// One connection; returns Ok when nobody sends any more.
async fn session(config: &Config, wake: &Wake, inbox: &mut mpsc::Receiver<Topic>, again: bool) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let (heard, mut notifications) = pipe::channel::<(i32, String)>(QUEUE);
    let mut heard = heard;
    let pump = async move {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(n))) => {
                    let _ = heard.try_send((n.process_id(), n.payload().to_owned()));
                }
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(e),
                None => return Ok(()),
            }
        }
    };
    let work = async {
        let own: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        let notify = client.prepare("SELECT pg_notify($1, $2)").await?;
        if again {
            // What was said meanwhile is lost.
            wake.notify_all();
        }
        loop {
            tokio::select! {
                heard = notifications.next() => match heard {
                    Some((from, text)) if from != own => {
                        if let Some(topic) = Topic::decode(&text) {
                            wake.notify(topic);
                        }
                    }
                    Some(_) => {}
                    None => return Ok(()),
                },
                first = inbox.recv() => {
                    let Some(first) = first else { return Ok(()) };
                    tell(&client, &notify, first, inbox).await?;
                }
            }
        }
    };
    tokio::select! { done = work => done, ended = pump => ended }
}

/// Sends `first` and what has come meanwhile.
async fn tell(client: &Client, notify: &Statement, first: Topic, inbox: &mut mpsc::Receiver<Topic>) -> Result<(), tokio_postgres::Error> {
    tokio::time::sleep(PAUSE).await;
    let mut topics = HashSet::from([first]);
    while let Ok(topic) = inbox.try_recv() {
        topics.insert(topic);
    }
    for topic in topics {
        client.execute(notify, &[&CHANNEL, &topic.encode()]).await?;
    }
    Ok(())
}
