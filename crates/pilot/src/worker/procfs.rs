//! What `/proc` tells of processes: identity, CPU, memory, marks.
//!
//! Owns the reading and the killing. A process is only ever ended when it is
//! certainly one of ours: by start time, or by the mark in its environment.

use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Clock ticks a second: fixed in the interface between kernel and programs.
const TICKS_PER_SECOND: u64 = 100;

/// Bytes of a memory page on the machines we build for.
const PAGE_BYTES: u64 = 4096;

/// The variable that marks all processes of one job.
pub(crate) const MARK_VARIABLE: &str = "PANDA_WORKER_MARK";

/// How deep a process tree is followed.
const MAX_TREE: usize = 4096;

/// Fields of `/proc/<pid>/stat` that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stat {
    /// Clock ticks after boot.
    pub(crate) start: u64,
    /// Seconds of CPU of the process and of all its waited children.
    pub(crate) cpu_s: u64,
    /// Resident memory in kB.
    rss_kb: u64,
}

/// Reads a process's state; `None` when it is gone. Works for zombies.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name, in parentheses, may contain anything; fields follow its end.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    // proc(5) counts from 1 and the state is field 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)? + field(16)? + field(17)?;
    Some(Stat { start: field(22)?, cpu_s: ticks / TICKS_PER_SECOND, rss_kb: field(24)? * PAGE_BYTES / 1024 })
}

/// Identifies this boot: process ids and start times mean nothing after it.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Resident memory in kB of a process and its descendants.
pub(crate) fn tree_rss_kb(pid: u32) -> u64 {
    tree(pid).into_iter().filter_map(stat).map(|stat| stat.rss_kb).sum()
}

/// Memory in kB of a process and its descendants, pages that several share in
/// equal parts; resident memory where the kernel does not tell.
pub(crate) fn tree_pss_kb(pid: u32) -> u64 {
    let of = |pid| pss_kb(pid).or_else(|| stat(pid).map(|stat| stat.rss_kb));
    tree(pid).into_iter().filter_map(of).sum()
}

fn pss_kb(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}

/// A process and its descendants, [`MAX_TREE`] at most.
fn tree(pid: u32) -> Vec<u32> {
    let (mut found, mut todo) = (Vec::new(), vec![pid]);
    while let Some(pid) = todo.pop()
        && found.len() < MAX_TREE
    {
        found.push(pid);
        // A child belongs to the thread that started it.
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            todo.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found
}

/// Processes whose environment carries the mark.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK_VARIABLE}={mark}");
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| text.split(|byte| *byte == 0).any(|v| v == wanted.as_bytes()))
        })
        .collect()
}

/// Sends a signal to every process with the mark; returns how many there were.
pub(crate) fn signal_marked(mark: &str, signal: Signal) -> usize {
    let pids = marked(mark);
    for pid in &pids {
        if let Some(pid) = pid_of(*pid) {
            // It may have ended since; that is what was wanted.
            let _ = kill_process(pid, signal);
        }
    }
    pids.len()
}

/// Sends a signal to a process group.
pub(crate) fn signal_group(leader: u32, signal: Signal) {
    if let Some(pid) = pid_of(leader) {
        let _ = kill_process_group(pid, signal);
    }
}

/// A pid that can be signalled: never 0 or 1.
pub(crate) fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stat_of_a_name_with_parentheses() {
        let mut fields = vec!["0"; 50];
        fields[14 - 3] = "150";
        fields[16 - 3] = "50";
        fields[22 - 3] = "777";
        fields[24 - 3] = "3";
        let text = format!("12 (a) b (c)) {}", fields.join(" "));
        assert_eq!(parse_stat(&text).unwrap(), Stat { start: 777, cpu_s: 2, rss_kb: 12 });
        assert_eq!(parse_stat("12"), None);
    }

    #[test]
    fn a_marked_process_is_found_and_ended() {
        let mark = uuid::Uuid::new_v4().to_string();
        let mut child = std::process::Command::new("/bin/sleep").arg("60").env(MARK_VARIABLE, &mark).spawn().unwrap();
        // The environment shows once the program is loaded.
        for _ in 0..100 {
            if marked(&mark) == [child.id()] {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(signal_marked(&mark, Signal::KILL), 1);
        assert!(!child.wait().unwrap().success());
        assert!(marked(&mark).is_empty());
        assert!(pid_of(0).is_none() && pid_of(1).is_none());
        assert!(stat(std::process::id()).unwrap().start > 0 && !boot_id().is_empty());
        let (rss, pss) = (tree_rss_kb(std::process::id()), tree_pss_kb(std::process::id()));
        assert!(rss > 0 && pss > 0, "{rss} {pss}");
    }

    #[test]
    fn children_of_threads_are_found() {
        let started = std::thread::spawn(|| {
            let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            let found = tree(std::process::id()).contains(&child.id());
            (child, found)
        });
        let (mut child, found) = started.join().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
    }
}
