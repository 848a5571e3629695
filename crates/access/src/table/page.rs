//! Owns: the table as a page of the documentation.

use std::fmt::Write as _;

use super::{Ground, Right};

const HEAD: &str = "# Who may do what

*Made from the table in `crates/access/src/table.rs` by `cargo run -p panda-access --example roles > docs/roles.md`; a test compares it.*

Each method of the API and each page names one right; one of the grounds in its column suffices. Roles of a VO reach what is of that VO: its tasks, jobs, files and people, never those of
another VO. `operator` reaches everything; `pilot` and `harvester` reach every VO when they are granted without one. Whoever is not listed for a right is refused, and what is of another VO is to readers as if it
were not there.

| role | granted by | reaches |
| --- | --- | --- |
| user | being of the VO | the own tasks, jobs and secrets; sees what is of the VO |
| production | a group of the identity provider, or `panda user grant` | tasks and jobs of the VO |
| pilot, harvester | a group, `panda user grant`, or an API token of a robot | takes and reports jobs and workers of the VO; without a VO of all |
| vo-admin | a group, or `panda user grant` | what production reaches; people, robots, settings, retry rules and the identity provider of the VO |
| site-admin | `panda user grant NAME site-admin --site SITE` | queues of the site |
| operator | `panda user grant NAME operator`; development tokens of the server's own machine | everything |

An API token may less than its holder where it was made with scopes.

| right | grounds, one suffices | scope | what it is |
| --- | --- | --- | --- |
";

/// `docs/roles.md`.
#[must_use]
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    for right in Right::ALL {
        let grounds: Vec<&str> = right.grounds().iter().map(|g: &Ground| g.name()).collect();
        // Writing to a text cannot fail.
        let _ = writeln!(out, "| {} | {} | {} | {} |", right.name(), grounds.join(", "), right.scope().as_str(), right.about().trim());
    }
    out
}

#[cfg(test)]
#[test]
fn the_page_is_current() {
    assert!(
        page() == include_str!("../../../../docs/roles.md"),
        "docs/roles.md is old; run `cargo run -p panda-access --example roles > docs/roles.md`"
    );
}
