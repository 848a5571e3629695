//! Mail: one message by an SMTP relay, or by a `sendmail` program of this machine.

use std::process::Stdio;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::authentication::Credentials,
};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{DEADLINE, Failure, chain, in_time, install_provider};

/// A message of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Sender: an address, or `Name <address>`.
    pub from: String,
    /// Receiver, likewise.
    pub to: String,
    /// Subject, one line.
    pub subject: String,
    /// Text.
    pub body: String,
    /// `Message-ID` without the angle brackets: the same for each attempt, so that a receiver can drop doubles.
    pub id: String,
}

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// An SMTP server: `smtp://host`, `smtp://host:587?tls=required` (STARTTLS), `smtps://host`; a user stands before the host.
    Smtp(String),
    /// A program that takes the message on its standard input: `sendmail:/usr/sbin/sendmail`.
    Sendmail(String),
}

impl Relay {
    /// Reads the text of a setting.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(program) = text.strip_prefix("sendmail:") {
            return if program.starts_with('/') {
                Ok(Self::Sendmail(program.to_owned()))
            } else {
                Err(format!("`{text}` names no program; write the whole path, as `sendmail:/usr/sbin/sendmail`"))
            };
        }
        if text.starts_with("smtp://") || text.starts_with("smtps://") {
            return Ok(Self::Smtp(text.to_owned()));
        }
        Err(format!("`{text}` is no mail relay; write `smtp://host:port`, `smtps://user@host` or `sendmail:/usr/sbin/sendmail`"))
    }

    /// Sends one message. `password` belongs to the user in the relay's address.
    ///
    /// # Errors
    /// Why not; [`Failure::lasting`] when the relay will never take it.
    pub async fn send(&self, mail: &Mail, password: Option<&str>) -> Result<(), Failure> {
        let message = message(mail)?;
        match self {
            Self::Smtp(address) => in_time("the mail relay", smtp(address, password, message)).await,
            Self::Sendmail(program) => in_time(program, sendmail(program, message)).await,
        }
    }
}

fn message(mail: &Mail) -> Result<Message, Failure> {
    let mailbox = |what: &str, text: &str| {
        text.parse::<Mailbox>().map_err(|e| Failure::lasting(format!("the {what} `{text}` is no mail address: {e}")))
    };
    // A line break would start another header.
    let subject: String = mail.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Message::builder()
        .from(mailbox("sender", &mail.from)?)
        .to(mailbox("receiver", &mail.to)?)
        .subject(subject)
        .message_id(Some(format!("<{}>", mail.id)))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.body.clone())
        .map_err(|e| Failure::lasting(format!("the message cannot be written: {}", chain(&e))))
}

async fn smtp(address: &str, password: Option<&str>, message: Message) -> Result<(), Failure> {
    install_provider();
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(address)
        .map_err(|e| Failure::passing(format!("the mail relay's address is wrong: {}", chain(&e))))?
        .timeout(Some(DEADLINE));
    if let (Some(password), Some(user)) = (password, user_of(address)) {
        builder = builder.credentials(Credentials::new(user.to_owned(), password.to_owned()));
    }
    let sender = builder.build();
    match sender.send(message).await {
        Ok(_) => Ok(()),
        Err(e) => Err(Failure { lasting: e.is_permanent(), reason: format!("the mail relay: {}", chain(&e)) }),
    }
}

/// Gives the message to the program, which queues it and tries for itself.
async fn sendmail(program: &str, message: Message) -> Result<(), Failure> {
    let failed = |what: String| Failure::passing(format!("{program}: {what}"));
    let mut command = Command::new(program);
    command.arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    if let Some(from) = message.envelope().from() {
        command.arg("-f").arg(from);
    }
    command.arg("--").args(message.envelope().to());
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    let written = match child.stdin.take() {
        Some(mut input) => input.write_all(&message.formatted()).await,
        None => Ok(()),
    };
    // A program that does not like the message may end before it has read all of it: what it says comes first.
    let output = child.wait_with_output().await.map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return written.map_err(|e| failed(e.to_string()));
    }
    let said: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(200).collect();
    Err(failed(format!("{} {said}", output.status)))
}

/// The user of `smtp://user@host` or `smtp://user:…@host`.
fn user_of(address: &str) -> Option<&str> {
    let rest = address.split_once("://")?.1;
    let before = rest.split(['/', '?']).next()?.rsplit_once('@')?.0;
    Some(before.split(':').next().unwrap_or(before)).filter(|u| !u.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_by_their_text() {
        assert_eq!(Relay::parse(" smtp://127.0.0.1:2525 "), Ok(Relay::Smtp("smtp://127.0.0.1:2525".into())));
        assert_eq!(Relay::parse("sendmail:/usr/sbin/sendmail"), Ok(Relay::Sendmail("/usr/sbin/sendmail".into())));
        assert!(Relay::parse("sendmail:x").unwrap_err().contains("the whole path"));
        assert!(Relay::parse("mail.example.org").unwrap_err().contains("smtp://host:port"));
        assert_eq!((user_of("smtps://u:p@h/x?y"), user_of("smtp://u@h:25"), user_of("smtp://h")), (Some("u"), Some("u"), None));
    }

    #[tokio::test]
    async fn a_program_of_the_machine_takes_the_message() {
        let dir = std::env::temp_dir().join(format!("panda_notify_{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let program = dir.join("sendmail");
        let script = format!("#!/bin/sh\ncat > {0}/got\necho \"$@\" > {0}/args\n", dir.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mail =
            Mail { from: "p@example.org".into(), to: "a@example.org".into(), subject: "s".into(), body: "b".into(), id: "1@p".into() };
        let relay = Relay::parse(&format!("sendmail:{}", program.display())).unwrap();
        assert_eq!(relay.send(&mail, None).await, Ok(()));
        assert_eq!(std::fs::read_to_string(dir.join("args")).unwrap(), "-i -f p@example.org -- a@example.org\n");
        assert!(std::fs::read_to_string(dir.join("got")).unwrap().ends_with("\r\n\r\nb"));
        std::fs::write(&program, "#!/bin/sh\necho full >&2; exit 75\n").unwrap();
        let failed = relay.send(&mail, None).await.unwrap_err();
        assert!(!failed.lasting && failed.reason.contains("75 full"), "{failed}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn messages_are_checked_before_they_leave() {
        let mail = Mail {
            from: "panda@example.org".into(),
            to: "Ann <ann@example.org>".into(),
            subject: "a\nBcc: x".into(),
            body: "ä\n".into(),
            id: "1@panda".into(),
        };
        let text = String::from_utf8(message(&mail).unwrap().formatted()).unwrap();
        assert!(text.contains("Subject: a Bcc: x\r\n") && text.contains("Message-ID: <1@panda>\r\n"), "{text}");
        let wrong = message(&Mail { to: "nobody".into(), ..mail }).unwrap_err();
        assert!(wrong.lasting && wrong.reason.starts_with("the receiver `nobody` is no mail address"), "{wrong}");
    }
}
