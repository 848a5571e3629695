//! A mail relay and a webhook receiver on loopback, which do what the test says.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::JoinHandle,
};

/// A listening stub; it is gone when dropped.
pub struct Stub {
    pub port: u16,
    /// Messages with their SMTP envelope, or requests with head and body.
    pub got: Arc<Mutex<Vec<String>>>,
    /// Rung at each receipt, before the answer.
    pub rung: Arc<Notify>,
    /// Answers that may be given; a webhook waits for one.
    pub answers: Arc<Semaphore>,
    task: JoinHandle<()>,
}
impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}
impl Stub {
    pub fn count(&self) -> usize {
        self.got.lock().len()
    }
    pub fn last(&self) -> String {
        self.got.lock().last().cloned().unwrap_or_default()
    }
}

/// A port where nobody listens now.
pub async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn serve<F, S>(port: u16, one: S) -> Stub
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
    S: Fn(TcpStream, Arc<Mutex<Vec<String>>>, Arc<Notify>, Arc<Semaphore>) -> F + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (got, rung, answers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()), Arc::new(Semaphore::new(1_000)));
    let (g, r, a) = (got.clone(), rung.clone(), answers.clone());
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(one(stream, g.clone(), r.clone(), a.clone()));
        }
    });
    Stub { port, got, rung, answers, task }
}

/// A relay. `verdict` answers RCPT: `250 ok`, `451 later`, `550 no such user`.
pub async fn relay(port: u16, verdict: &'static str) -> Stub {
    serve(port, move |stream, got, rung, _| async move {
        let mut lines = BufReader::new(stream);
        lines.write_all(b"220 stub\r\n").await?;
        let mut text = String::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let word = line.split([' ', ':', '\r']).next().unwrap_or_default().to_ascii_uppercase();
            let answer = match word.as_str() {
                "EHLO" | "HELO" => "250-stub\r\n250 8BITMIME",
                "RCPT" => verdict,
                "DATA" => {
                    lines.write_all(b"354 go on\r\n").await?;
                    loop {
                        let mut line = String::new();
                        lines.read_line(&mut line).await?;
                        if line == ".\r\n" {
                            break;
                        }
                        text.push_str(&line);
                    }
                    got.lock().push(std::mem::take(&mut text));
                    rung.notify_one();
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            if matches!(word.as_str(), "MAIL" | "RCPT") {
                text.push_str(&line);
            }
            lines.write_all(format!("{answer}\r\n").as_bytes()).await?;
            if word == "QUIT" {
                return Ok(());
            }
        }
    })
    .await
}

/// A receiver that answers 204 when it may.
pub async fn receiver() -> Stub {
    serve(0, |mut stream, got, rung, answers| async move {
        let (mut head, mut byte) = (Vec::new(), [0_u8]);
        while !head.ends_with(b"\r\n\r\n") && head.len() < 10_000 {
            if stream.read(&mut byte).await? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length:")).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        got.lock().push(format!("{head}{}", String::from_utf8_lossy(&body)));
        rung.notify_one();
        if let Ok(permit) = answers.acquire().await {
            permit.forget();
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await
    })
    .await
}
