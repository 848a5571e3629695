//! Mail and webhooks.

use super::Setting;

/// How mail leaves.
pub const MAIL_RELAY: Setting = Setting::text(
    "notify.mail_relay",
    "",
    "5.6: mail of the post processor; ours",
    "how mail leaves: `smtp://host:port`, `smtp://user@host:587?tls=required`, `smtps://user@host` or `sendmail:/path`; empty = no mail",
);
/// Password of the relay.
pub const MAIL_PASSWORD_FILE: Setting =
    Setting::text("notify.mail_password_file", "", "ours", "file on the engine's machine with the password of the relay's user");
/// Sender.
pub const MAIL_FROM: Setting =
    Setting::text("notify.mail_from", "PanDA <panda@localhost>", "ours", "sender of mail, an address that the relay accepts");
/// States that are told by mail.
pub const MAIL_STATES: Setting = Setting::text(
    "notify.mail_states",
    "done,finished,failed,exhausted,aborted,broken",
    "5.6: at the end of a task, unless it asks for none (noEmail)",
    "states of a task that its owner is told by mail, comma separated; `none` = no mail",
);
/// Subject.
pub const MAIL_SUBJECT: Setting = Setting::text(
    "notify.mail_subject",
    "[PanDA] task {id} {state}: {name}",
    "ours",
    "subject of mail; {id} {name} {state} {from} {reason} {owner} {vo} {label} {files} {finished} {failed} {url} stand for the task's",
);
/// Text.
pub const MAIL_TEXT: Setting = Setting::text(
    "notify.mail_text",
    "Task {id} ({name}) is {state}.\n\n{reason}\n\nInput files: {files}, done {finished}, failed {failed}.\n{url}\n",
    "ours",
    "text of mail, with the words of notify.mail_subject",
);
/// Where news is posted.
pub const WEBHOOK_URL: Setting =
    Setting::text("notify.webhook_url", "", "ours", "address to which changes of tasks are posted as JSON; empty = none");
/// Secret of the receiver.
pub const WEBHOOK_SECRET_FILE: Setting = Setting::text(
    "notify.webhook_secret_file",
    "",
    "ours",
    "file on the engine's machine with the secret that news is signed with (HMAC-SHA256)",
);
/// States that are posted.
pub const WEBHOOK_STATES: Setting = Setting::text(
    "notify.webhook_states",
    "done,finished,failed,exhausted,aborted,broken",
    "ours",
    "states of a task that are posted when it comes to them, comma separated; `all` = every change",
);
/// How often jobs are told of.
pub const JOB_PERIOD_S: Setting = Setting::int(
    "notify.job_period_s",
    60,
    "6.2: PC; ours",
    "how often what has changed of the jobs of a task with `pushStatusChanges` is posted, many jobs at a time, seconds",
)
.within(1.0, 86_400.0);
/// First pause after a failed attempt.
pub const RETRY_S: Setting =
    Setting::int("notify.retry_s", 30, "ours", "first pause after a delivery failed, seconds; it doubles up to notify.retry_most_s")
        .within(1.0, 1e6);
/// Longest pause.
pub const RETRY_MOST_S: Setting =
    Setting::int("notify.retry_most_s", 3_600, "ours", "longest pause between two attempts of a delivery, seconds").within(1.0, 1e6);
/// When a delivery is given up.
pub const GIVE_UP_S: Setting =
    Setting::int("notify.give_up_s", 3 * 86_400, "ours", "a delivery that fails for so long is given up, seconds").within(60.0, 1e8);
/// How long records are kept.
pub const KEEP_S: Setting =
    Setting::int("notify.keep_s", 7 * 86_400, "ours", "how long records of deliveries are kept after their end, seconds")
        .within(0.0, 1e9)
        .for_all();

/// All of this area.
pub const ALL: &[&Setting] = &[
    &MAIL_RELAY,
    &MAIL_PASSWORD_FILE,
    &MAIL_FROM,
    &MAIL_STATES,
    &MAIL_SUBJECT,
    &MAIL_TEXT,
    &WEBHOOK_URL,
    &WEBHOOK_SECRET_FILE,
    &WEBHOOK_STATES,
    &JOB_PERIOD_S,
    &RETRY_S,
    &RETRY_MOST_S,
    &GIVE_UP_S,
    &KEEP_S,
];
