//! `GET file_server/download_jedi_log`: the text of a log file from a byte on.

use super::log_cap;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use crate::upload::safe_name;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// The text itself, no envelope, behind one blank; only the blank when there is no such file or nothing behind the offset, as upstream.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let name = args.text("log_name").unwrap_or_default();
    let offset = u64::try_from(args.id("offset")).map_err(|_| Refusal::new("offset must be at least 0"))?;
    let mut text = " ".to_owned();
    if let Some(path) = match safe_name(name).filter(|safe| *safe == name) {
        Some(name) => ctx.state.files.path(name).await,
        None => None,
    } {
        let read = async {
            let mut file = tokio::fs::File::open(&path).await?;
            file.seek(std::io::SeekFrom::Start(offset)).await?;
            let mut bytes = Vec::new();
            tokio::io::copy(&mut file.take(log_cap(name)), &mut bytes).await?;
            std::io::Result::Ok(bytes)
        };
        match read.await {
            Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a log cannot be read");
                return Err(Refusal::new("the log cannot be read now; try again"));
            }
        }
    }
    Ok(Answer::Text(text))
}
