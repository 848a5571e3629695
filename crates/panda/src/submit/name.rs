//! Names of tasks.

use crate::failure::Failure;

/// Longest name: with suffixes and numbers a file name stays under 255 bytes.
const MAX_BYTES: usize = 130;

/// The name of a task, without the slash at its end: the one given, put under the user's name when it stands under nobody's; else one made
/// from the command and the moment.
pub fn task_name(given: Option<&str>, nickname: &str, command: &str) -> Result<String, Failure> {
    let name = match given {
        Some(given) => {
            let given = given.trim().trim_end_matches('/');
            let under = given.starts_with("user.") || given.starts_with("group.");
            if under { given.to_owned() } else { format!("user.{nickname}.{given}") }
        }
        None => {
            let moment = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S");
            let tail = uuid::Uuid::new_v4().simple().to_string();
            format!("user.{nickname}.{}.{moment}{}", stem(command), &tail[..4])
        }
    };
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if let Some(bad) = name.chars().find(|c| !good(*c)) {
        return Err(
            Failure::usage(format!("the name `{name}` contains `{bad}`")).hint("names consist of letters, digits, `.`, `-` and `_`")
        );
    }
    if name.len() > MAX_BYTES || name.ends_with('.') || name.contains("..") {
        return Err(Failure::usage(format!("`{name}` is no good name"))
            .hint(format!("a name has at most {MAX_BYTES} letters, does not end with a dot and has no two dots together")));
    }
    Ok(name)
}

/// A short word for the command: the name of its program.
fn stem(command: &str) -> String {
    let first = command.split_whitespace().find(|word| !word.contains('=') && *word != "export").unwrap_or("task");
    let file = first.trim_matches(['\'', '"', ';']).rsplit('/').next().unwrap_or("task");
    let word: String = file.split('.').next().unwrap_or("task").chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    if word.is_empty() { "task".to_owned() } else { word }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_under_somebody() {
        assert_eq!(task_name(Some("fit"), "jane", "x").unwrap(), "user.jane.fit");
        assert_eq!(task_name(Some("user.bob.fit/"), "jane", "x").unwrap(), "user.bob.fit");
        assert_eq!(task_name(Some("group.phys.a"), "jane", "x").unwrap(), "group.phys.a");
        for bad in ["a b", "a/b", "a..b", "a.", "ä", &"x".repeat(200)] {
            assert_eq!(task_name(Some(bad), "jane", "x").unwrap_err().code, 2, "{bad}");
        }
    }

    #[test]
    fn a_name_is_made_of_the_command() {
        let name = task_name(None, "jane", "export A=1; ./my-run.sh %IN").unwrap();
        assert!(name.starts_with("user.jane.myrun.20"), "{name}");
        assert_ne!(name, task_name(None, "jane", "export A=1; ./my-run.sh %IN").unwrap());
        assert_eq!(stem("%IN"), "IN");
        assert_eq!(stem(""), "task");
    }
}
