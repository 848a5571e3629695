//! Files to and from the server.
//!
//! Owns streaming, temporary names and completeness checks. Must not know what
//! a file is for.

use std::path::{Path, PathBuf};

use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;

use crate::client::transport_error;
use crate::{Client, ClientError, Envelope};

impl Client {
    /// Uploads `path` as the cache file `name`
    /// (`POST /api/v1/file_server/upload_cache_file`, multipart field `file`).
    /// The file is streamed; one attempt, since a broken upload leaves nothing.
    ///
    /// # Errors
    /// [`ClientError::File`] when it cannot be read, else as [`Client::get`].
    pub async fn upload_cache_file(&self, name: &str, path: &Path) -> Result<Envelope, ClientError> {
        let file_error = |source| ClientError::File { path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(file_error)?;
        let length = file.metadata().await.map_err(file_error)?.len();
        let part = Part::stream_with_length(Body::from(file), length).file_name(name.to_owned());
        let form = std::sync::Mutex::new(Some(Form::new().part("file", part)));
        let url = self.base().method("file_server", "upload_cache_file");
        let once = self.clone_without_retry();
        let response = once
            .send(&Method::POST, &url, &|request| {
                let form = form.lock().ok().and_then(|mut slot| slot.take());
                request.multipart(form.unwrap_or_default())
            })
            .await?;
        let text = response.bytes().await.map_err(|error| transport_error(&url, &error))?;
        let object: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| ClientError::NotJson {
            url: url.clone(),
            reason: error.to_string(),
            start: String::from_utf8_lossy(&text).chars().take(300).collect(),
        })?;
        Ok(Envelope::from_object(object))
    }

    /// Downloads `path` (below the root, or a whole address) into the file `to`.
    ///
    /// The bytes go to a temporary name beside `to` and are renamed at the end,
    /// so `to` is either whole or absent. A body shorter than its
    /// `Content-Length` is an error. Returns the number of bytes.
    ///
    /// # Errors
    /// [`ClientError::File`] for the local side, else as [`Client::get`].
    pub async fn download(&self, path: &str, to: &Path) -> Result<u64, ClientError> {
        let url = self.base().at(path);
        let mut response = self.send(&Method::GET, &url, &|request| request).await?;
        let expected = response.content_length();
        let part = part_name(to);
        let file_error = |source| ClientError::File { path: part.clone(), source };
        let mut file = tokio::fs::File::create(&part).await.map_err(file_error)?;
        let mut written = 0u64;
        let outcome = async {
            while let Some(chunk) = response.chunk().await.map_err(|error| transport_error(&url, &error))? {
                file.write_all(&chunk).await.map_err(file_error)?;
                written += chunk.len() as u64;
            }
            file.flush().await.map_err(file_error)?;
            if let Some(expected) = expected
                && expected != written
            {
                return Err(ClientError::Broken { url: url.clone(), reason: format!("{written} bytes came instead of {expected}") });
            }
            tokio::fs::rename(&part, to).await.map_err(file_error)
        }
        .await;
        if outcome.is_err() {
            // The error being returned matters more than a left-over part.
            let _ = tokio::fs::remove_file(&part).await;
        }
        outcome.map(|()| written)
    }
}

fn part_name(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    to.with_file_name(name)
}
