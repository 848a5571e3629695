//! A DAG of jobs as a file: one node a line, each a JSON object (`docs/dag.md`); and how its nodes are stored.
//!
//! Owns: reading and checking such a file, the order in which its nodes become rows, the text of a page of nodes. Must not know: tasks, the database.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
};

use panda_core::policy::dag::{self, Cycle, Kind};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest name of a node: what a column of names holds.
pub const MAX_NAME: usize = 255;
/// Longest text of a node's arguments, bytes: its job's command line has to pass through a shell.
pub const MAX_ARGS: usize = 32_000;
/// Most bytes of a file when it is unpacked: more cannot be held in memory at once.
pub const MAX_BYTES: u64 = 2 << 30;
/// Nodes of one stored page: each ended node reads its page.
pub const PAGE: i64 = 120;
/// Nodes of a cycle that are told.
const TOLD: usize = 8;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name, unique in the DAG.
    pub name: String,
    /// What replaces `${ARGS}` in the command line.
    pub args: String,
    /// What it depends on: places in [`Dag::nodes`], all of them before its own.
    pub on: Vec<(u32, Kind)>,
    /// What depends on it, likewise, all of them behind its own.
    pub by: Vec<(u32, Kind)>,
}

/// The nodes, each behind all that it depends on; those without dependencies come first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dag {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    #[serde(default)]
    args: String,
    #[serde(default)]
    after: Vec<After>,
}

/// A dependency: a name, or a name with its kind.
#[derive(Deserialize)]
#[serde(untagged, expecting = "is neither the name of a node nor {\"node\": NAME, \"on\": \"success\", \"end\" or \"failure\"}")]
enum After {
    Name(String),
    Typed(Typed),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    node: String,
    on: String,
}

/// Reads a DAG of at most `most` nodes; a file that begins as gzip does is unpacked.
///
/// # Errors
/// One sentence: the line, what is wrong with it and what to do.
pub fn read(file: impl Read, most: usize) -> Result<Dag, String> {
    let mut file = BufReader::new(file);
    let packed = file.fill_buf().map_err(|e| format!("cannot be read: {e}"))?.starts_with(&[0x1f, 0x8b]);
    let text: Box<dyn Read + '_> = if packed { Box::new(flate2::bufread::MultiGzDecoder::new(file)) } else { Box::new(file) };
    let lines = lines(text, most)?;
    let names: HashMap<&str, u32> = lines.iter().zip(0..).map(|((_, l), n)| (l.name.as_str(), n)).collect();
    if names.len() < lines.len() {
        return Err(twice(&lines));
    }
    let on = lines.iter().map(|(at, line)| resolve(*at, line, &names)).collect::<Result<Vec<_>, _>>()?;
    let count = u32::try_from(lines.len()).map_err(|e| e.to_string())?;
    let order = dag::order(count, |n| on.get(n as usize).map_or(&[][..], Vec::as_slice)).map_err(|Cycle(nodes)| {
        let mut told: Vec<&str> = nodes.iter().take(TOLD).filter_map(|n| lines.get(*n as usize)).map(|(_, l)| l.name.as_str()).collect();
        if nodes.len() > TOLD {
            told.push("…");
        }
        let first = told.first().copied().unwrap_or_default();
        format!("has a cycle: {} depends on {first} again; leave out one of these dependencies", told.join(" depends on "))
    })?;
    Ok(sorted(lines, on, &order))
}

/// The lines that say something, with their numbers.
fn lines(text: impl Read, most: usize) -> Result<Vec<(usize, Line)>, String> {
    let mut text = BufReader::with_capacity(1 << 20, text.take(MAX_BYTES + 1));
    let (mut lines, mut line, mut read) = (Vec::new(), String::new(), 0);
    for at in 1.. {
        line.clear();
        let n = text.read_line(&mut line).map_err(|e| format!("line {at} cannot be read: {e}"))?;
        if n == 0 {
            break;
        }
        read += n as u64;
        if read > MAX_BYTES {
            return Err(format!("has more than {} MB when it is unpacked; use several tasks", MAX_BYTES >> 20));
        }
        if line.trim().is_empty() {
            continue;
        }
        let node: Line = serde_json::from_str(&line).map_err(|e| format!("line {at} is no node: {e}"))?;
        let wrong = |what: String| Err(format!("line {at}: {what}"));
        if node.name.is_empty() || node.name.len() > MAX_NAME || node.name.chars().any(char::is_control) {
            return wrong(format!("the name of a node has 1 to {MAX_NAME} plain characters"));
        }
        if node.args.len() > MAX_ARGS || node.args.contains('\0') {
            return wrong(format!(
                "`args` of {} has {} bytes, at most {MAX_ARGS} are possible; pass a file instead",
                node.name,
                node.args.len()
            ));
        }
        lines.push((at, node));
        if lines.len() > most {
            return Err(format!("has more than {most} nodes; use several tasks (setting feed.max_rows)"));
        }
    }
    if lines.is_empty() {
        return Err("has no node; write one JSON object a line".into());
    }
    Ok(lines)
}

fn twice(lines: &[(usize, Line)]) -> String {
    let mut seen = HashMap::new();
    let found = lines.iter().find_map(|(at, l)| Some((seen.insert(l.name.as_str(), *at)?, *at, &l.name)));
    found.map_or_else(String::new, |(first, again, name)| format!("lines {first} and {again} are both named {name}; names are unique"))
}

/// What a line depends on, by place.
fn resolve(at: usize, line: &Line, names: &HashMap<&str, u32>) -> Result<Vec<(u32, Kind)>, String> {
    let mut on = Vec::with_capacity(line.after.len());
    for after in &line.after {
        let (name, kind) = match after {
            After::Name(name) => (name, Kind::Success),
            After::Typed(t) => (&t.node, Kind::parse(&t.on).map_err(|e| format!("line {at}: {e}"))?),
        };
        let Some(node) = names.get(name.as_str()) else {
            return Err(format!("line {at}: {} depends on {name}, which no line is named", line.name));
        };
        on.push((*node, kind));
    }
    let mut sorted: Vec<u32> = on.iter().map(|(n, _)| *n).collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|w| w[0] == w[1]) {
        return Err(format!("line {at}: {} depends on one node twice; name each once", line.name));
    }
    Ok(on)
}

/// The nodes in this order, with what depends on each.
fn sorted(lines: Vec<(usize, Line)>, on: Vec<Vec<(u32, Kind)>>, order: &[u32]) -> Dag {
    let mut place = vec![0u32; lines.len()];
    for (to, from) in (0u32..).zip(order) {
        if let Some(p) = place.get_mut(*from as usize) {
            *p = to;
        }
    }
    let placed = |n: u32| place.get(n as usize).copied().unwrap_or(0);
    let mut nodes: Vec<(u32, Node)> = lines
        .into_iter()
        .zip(on)
        .zip(&place)
        .map(|(((_, line), on), place)| {
            let on = on.into_iter().map(|(n, kind)| (placed(n), kind)).collect();
            (*place, Node { name: line.name, args: line.args, on, by: Vec::new() })
        })
        .collect();
    nodes.sort_unstable_by_key(|(place, _)| *place);
    let mut nodes: Vec<Node> = nodes.into_iter().map(|(_, node)| node).collect();
    for child in 0..nodes.len() {
        let on = nodes.get(child).map(|n| n.on.clone()).unwrap_or_default();
        for (parent, kind) in on {
            if let (Some(parent), Ok(child)) = (nodes.get_mut(parent as usize), u32::try_from(child)) {
                parent.by.push((child, kind));
            }
        }
    }
    Dag { nodes }
}

/// A node as it is stored; nodes are named by their number, from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// What replaces `${ARGS}`.
    pub args: String,
    /// What it depends on.
    pub on: Vec<(i64, Kind)>,
    /// What depends on it.
    pub by: Vec<(i64, Kind)>,
}

/// The number of the first node of a node's page.
#[must_use]
pub const fn page_of(seq: i64) -> i64 {
    (seq - 1) / PAGE * PAGE + 1
}

impl Dag {
    /// The page that begins with this node, as it is stored.
    #[must_use]
    pub fn page(&self, first: i64) -> String {
        let from = usize::try_from(first - 1).unwrap_or(usize::MAX);
        let flat = |links: &[(u32, Kind)]| links.iter().flat_map(|(n, kind)| [i64::from(*n) + 1, kind.code()]).collect::<Vec<i64>>();
        let page = self.nodes.iter().skip(from).take(usize::try_from(PAGE).unwrap_or(0));
        Value::Array(page.map(|n| json!([n.args, flat(&n.on), flat(&n.by)])).collect()).to_string()
    }
}

/// Reads what [`Dag::page`] wrote.
///
/// # Errors
/// The text is none.
pub fn read_page(text: &str) -> Result<Vec<Stored>, String> {
    let page: Vec<(String, Vec<i64>, Vec<i64>)> = serde_json::from_str(text).map_err(|e| format!("a stored page of nodes: {e}"))?;
    let links = |flat: &[i64]| {
        flat.chunks(2)
            .map(|pair| match pair {
                [n, kind] => Kind::of_code(*kind).map(|kind| (*n, kind)),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| "a stored page of nodes has an unknown kind of dependency; it was written by a newer version".to_owned())
    };
    page.into_iter().map(|(args, on, by)| Ok(Stored { args, on: links(&on)?, by: links(&by)? })).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const DIAMOND: &str = r#"
{"name": "report", "args": "--all", "after": ["left", {"node": "right", "on": "end"}]}
{"name": "left", "after": ["start"]}
{"name": "right", "after": ["start"]}
{"name": "start", "args": "-n 3"}
{"name": "mop", "after": [{"node": "start", "on": "failure"}]}
"#;

    #[test]
    fn nodes_come_behind_what_they_depend_on() {
        let dag = read(DIAMOND.as_bytes(), 10).unwrap();
        let names: Vec<&str> = dag.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["start", "left", "right", "mop", "report"]);
        assert_eq!(dag.nodes[4].on, [(1, Kind::Success), (2, Kind::End)]);
        assert_eq!(dag.nodes[0].by, [(1, Kind::Success), (2, Kind::Success), (3, Kind::Failure)]);
        // Packed or not, it is the same; its page tells all but names.
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(DIAMOND.as_bytes()).unwrap();
        assert_eq!(read(&gz.finish().unwrap()[..], 10), Ok(dag.clone()));
        let page = read_page(&dag.page(1)).unwrap();
        assert_eq!((page.len(), page[0].args.as_str(), &page[4].on), (5, "-n 3", &vec![(2, Kind::Success), (3, Kind::End)]));
        assert_eq!((page_of(1), page_of(PAGE), page_of(PAGE + 1)), (1, 1, PAGE + 1));
    }

    #[test]
    fn a_wrong_file_is_told_with_its_line() {
        let told = |text: &str| read(text.as_bytes(), 3).unwrap_err();
        let long = "x".repeat(MAX_ARGS + 1);
        insta::assert_snapshot!(
            [
                told(""),
                told("{\"name\": \"a\"}\n\n{\"name\": 7}"),
                told("{\"name\": \"a\", \"arg\": \"b\"}"),
                told("{\"name\": \"\"}"),
                told(&format!("{{\"name\": \"a\", \"args\": \"{long}\"}}")),
                told("{\"name\": \"a\"}\n{\"name\": \"a\"}"),
                told("{\"name\": \"a\", \"after\": [\"b\"]}"),
                told("{\"name\": \"a\", \"after\": [{\"node\": \"b\", \"on\": \"luck\"}]}\n{\"name\": \"b\"}"),
                told("{\"name\": \"a\", \"after\": [7]}"),
                told("{\"name\": \"a\"}\n{\"name\": \"b\", \"after\": [\"a\", {\"node\": \"a\", \"on\": \"end\"}]}"),
                told("{\"name\": \"a\", \"after\": [\"c\"]}\n{\"name\": \"b\", \"after\": [\"a\"]}\n{\"name\": \"c\", \"after\": [\"b\"]}"),
                told("{\"name\": \"a\", \"after\": [\"a\"]}"),
                told("{\"name\": \"a\"}\n{\"name\": \"b\"}\n{\"name\": \"c\"}\n{\"name\": \"d\"}"),
            ]
            .join("\n")
        );
        assert!(read(&[0x1f, 0x8b, 0, 0][..], 3).unwrap_err().contains("cannot be read"));
    }
}
