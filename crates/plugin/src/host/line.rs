//! Lines of bounded length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end.
    Text(Vec<u8>),
    /// It is longer than it may be; nothing behind it makes sense.
    TooLong,
    /// There is no more.
    End,
}

/// The rest of a line that is read in parts: a read that is cancelled loses nothing.
#[derive(Debug, Default)]
pub struct Lines {
    part: Vec<u8>,
}

impl Lines {
    /// The next line of at most `max` bytes.
    pub async fn next(&mut self, reader: &mut (impl AsyncBufRead + Unpin), max: usize) -> io::Result<Line> {
        loop {
            let seen = reader.fill_buf().await?;
            if seen.is_empty() {
                return Ok(Line::End);
            }
            let end = seen.iter().position(|b| *b == b'\n');
            let take = end.unwrap_or(seen.len());
            if self.part.len() + take > max {
                return Ok(Line::TooLong);
            }
            self.part.extend_from_slice(&seen[..take]);
            reader.consume(take + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Line::Text(std::mem::take(&mut self.part)));
            }
        }
    }
}
