//! A kept HTTP/1.1 connection, as cheap as it gets: requests are prepared text, answers are read by their length.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, bail};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The head that all requests of one caller share.
#[derive(Debug, Clone)]
pub struct Head {
    /// `HOST:PORT`.
    pub address: String,
    /// Raw token.
    pub token: String,
}

impl Head {
    /// A whole POST request with a JSON body.
    #[must_use]
    pub fn post(&self, path: &str, body: &str) -> Vec<u8> {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        )
        .into_bytes()
    }
    /// A whole GET request.
    #[must_use]
    pub fn get(&self, path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n\r\n", self.address, self.token)
            .into_bytes()
    }
}

impl Connection {
    /// Connects.
    pub fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, buffer: Vec::with_capacity(1 << 16) })
    }
    /// Sends a prepared request and reads the answer's body; an error for any status but 200.
    pub fn call(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0_u8; 16_384];
        loop {
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                bail!("the server closed the connection");
            }
            self.buffer.extend_from_slice(&chunk[..n]);
            let Some(end) = find(&self.buffer, b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end])?;
            let length: usize = head
                .lines()
                .filter_map(|l| l.split_once(':'))
                .find(|(k, _)| k.eq_ignore_ascii_case("content-length"))
                .context("an answer without Content-Length")?
                .1
                .trim()
                .parse()?;
            let ok = head.starts_with("HTTP/1.1 200");
            while self.buffer.len() < end + 4 + length {
                let n = self.stream.read(&mut chunk)?;
                if n == 0 {
                    bail!("the server closed the connection within an answer");
                }
                self.buffer.extend_from_slice(&chunk[..n]);
            }
            let body = &self.buffer[end + 4..end + 4 + length];
            if !ok {
                bail!("{}: {}", String::from_utf8_lossy(&self.buffer[..end.min(40)]), String::from_utf8_lossy(body));
            }
            return Ok(body);
        }
    }
    /// [`Self::call`], decoded.
    pub fn json(&mut self, request: &[u8]) -> anyhow::Result<serde_json::Value> {
        let body = self.call(request)?;
        serde_json::from_slice(body).with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&body[..body.len().min(200)])))
    }
}

/// Position of `needle`.
#[must_use]
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}
