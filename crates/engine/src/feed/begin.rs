//! Begins to list an input: where its files come from, in which order, which are left out, and whether more may come.

use std::collections::{BTreeMap, VecDeque};

use panda_core::{
    file::{FileRole, FileState},
    policy::feed::{Order, Rules},
    setting::feed as settings,
};
use panda_ops::task::plan::Input;
use panda_store::{
    Batch,
    query::{
        archive,
        dataset::{input as catalogue, keeper},
        task::{self, dataset::TaskDataset},
    },
};
use regex::Regex;

use super::{
    Feeding, Listed, dag,
    input::stored,
    known::{self, Known},
    listing::{Choice, Listing},
    parts::{self, Parts},
    source::{self, Cursor, Source},
};
use crate::{
    EngineError,
    data::fetch::{self, Fetched, Wanted},
};

/// Rows of one page of names.
const NAMES: i64 = 10_000;

/// Begins, or goes on where the last process stopped; otherwise why it cannot be listed now.
pub(super) async fn begin(f: &Feeding<'_>, d: &TaskDataset) -> Result<Result<(Listing, Source), Listed>, EngineError> {
    let values = f.ops.settings().await?;
    let most = usize::try_from(values.int(&settings::MAX_NAMES, &f.t.vo, &f.t.label)).unwrap_or(usize::MAX);
    let mut listing = Listing {
        hand: VecDeque::new(),
        feed: stored(d),
        rules: Rules::default(),
        choice: Choice::default(),
        known: None,
        again: d.n_files > 0 && d.part == 0 && d.part_after.is_none(),
        lost: std::collections::BTreeSet::new(),
        open: false,
        names: Vec::new(),
        cursor: Cursor { part: usize::try_from(d.part).unwrap_or(0), after: d.part_after.clone().unwrap_or_default() },
        full: false,
        dag: None,
        most_rows: values.int(&settings::MAX_ROWS, &f.t.vo, &f.t.label),
        row: d.clone(),
        doc_rev: f.t.doc_rev,
    };
    let plan = f.plan();
    let source = if let Some(file) = plan.dag.as_ref().filter(|_| d.is_dag()) {
        listing.again = false;
        let dag = match dag::load(f.ops, file, listing.most_rows).await? {
            Ok(dag) => dag,
            Err(reason) => return Ok(Err(Listed::Broken(reason))),
        };
        listing.dag = Some(dag.clone());
        Source::Nodes { dag, next: usize::try_from(d.n_files).unwrap_or(0) }
    } else if d.role == FileRole::PseudoInput && plan.pfns.is_empty() {
        listing.again = false;
        let (jobs, events) = plan.pseudo.unwrap_or((d.n_files, 1));
        Source::Numbers { next: d.n_files + 1, last: jobs, events }
    } else if d.role == FileRole::PseudoInput {
        listing.again = false;
        listing.rules = Rules { n_files: plan.n_files, n_events: plan.n_events, cut: plan.cut, ..Rules::default() };
        listing.choice.uncounted = true;
        let next = usize::try_from(listing.feed.files).unwrap_or(0) - usize::from(listing.feed.within());
        Source::Addresses { list: plan.pfns.clone(), next }
    } else {
        let input = plan.inputs.iter().find(|i| Some(i.stream.as_str()) == d.stream.as_deref());
        // An input that the parameters no longer have stays as it is.
        let Some(input) = input else { return Ok(Ok((listing, Source::Addresses { list: Vec::new(), next: 0 }))) };
        match of_data_sets(f, d, input, &mut listing, most).await? {
            Ok(source) => source,
            Err(listed) => return Ok(Err(listed)),
        }
    };
    Ok(Ok((listing, source)))
}

async fn of_data_sets(
    f: &Feeding<'_>,
    d: &TaskDataset,
    input: &Input,
    listing: &mut Listing,
    most: usize,
) -> Result<Result<Source, Listed>, EngineError> {
    let plan = f.plan();
    let mut found = parts::resolve(f.ops, &f.t.vo, &input.datasets).await?;
    let fetched = fetch(f, d, &found).await?;
    if let Some(reason) = fetched.waits {
        return Ok(Err(Listed::Asks(reason, fetched.under_way)));
    }
    if fetched.any {
        found = parts::resolve(f.ops, &f.t.vo, &input.datasets).await?;
    }
    if let Some(reason) = arriving(&found, &fetched.unknown) {
        return Ok(Err(Listed::Asks(reason, Vec::new())));
    }
    if let Some(listed) = missing(f, d, &found, &fetched.unknown).await? {
        return Ok(Err(listed));
    }
    listing.open = may_grow(f, &found).await?;
    listing.names.clone_from(&found.names);
    listing.rules = Rules { offset: input.offset, ..Rules::default() };
    if d.is_master {
        listing.rules = Rules {
            n_files: plan.n_files,
            n_events: plan.n_events,
            cut: plan.cut,
            skip_short: plan.split.skip_short_input,
            respect_lumiblock: plan.split.respect_lumiblock,
            ..listing.rules
        };
    }
    listing.choice = Choice {
        include: compiled(&input.include, true),
        exclude: compiled(&input.exclude, false),
        ignores_lost: plan.feed.ignore_missing,
        used: Known::default(),
        uncounted: false,
    };
    let too_many = |what: &str| {
        Listed::Broken(format!("{} {what} of more than {most} files; use filters or several tasks (setting feed.max_names)", d.name))
    };
    if d.is_master && !plan.feed.skip_used_by.is_empty() {
        match used_by(f, &plan.feed.skip_used_by, most).await? {
            Ok(Some(used)) => listing.choice.used = used,
            Ok(None) => return Ok(Err(too_many("leaves out files"))),
            Err(task) => return Ok(Err(Listed::Broken(format!("`skipFilesUsedBy` names task {task}, which does not exist")))),
        }
    }
    let order = order_of(f, input);
    if listing.again || order != Order::Name || !input.files.is_empty() || found.ids.len() > 1 {
        if listing.again {
            listing.feed.skipped = 0;
        }
        let Some(known) = known_names(f, d, listing.feed.within(), most).await? else {
            return Ok(Err(too_many("is listed again and has")));
        };
        listing.known = Some(known);
        listing.cursor = Cursor::default();
    }
    if !input.files.is_empty() {
        return named(f, input, &found).await;
    }
    if order == Order::Name {
        return Ok(Ok(Source::Names { parts: found.ids, at: listing.cursor.clone() }));
    }
    let ids = source::sorted(f.ops, &found.ids, order, |n| plan.events_of(n), most).await?;
    Ok(ids.map(|ids| Source::Rows { ids, next: 0 }).ok_or_else(|| too_many("is to be put into another order and has")))
}

fn order_of(f: &Feeding<'_>, input: &Input) -> Order {
    if input.random {
        return Order::Shuffled(f.t.id.0.unsigned_abs());
    }
    if input.master { f.plan().feed.order } else { Order::Name }
}

/// Asks plug-ins for what the catalogue does not have, or not all of. What is waited for is watched.
async fn fetch(f: &Feeding<'_>, d: &TaskDataset, found: &Parts) -> Result<Fetched, EngineError> {
    let any = f.waits() && fetch::recheck(f.ops, &f.t.vo, &f.t.label, &found.whole).await?;
    if found.missing.is_empty() && found.growing.is_empty() {
        return Ok(Fetched { any, ..Fetched::default() });
    }
    let wanted = Wanted { vo: &f.t.vo, label: &f.t.label, missing: &found.missing, growing: &found.growing };
    let mut fetched = fetch::fetch(f.ops, &wanted).await?;
    fetched.any |= any;
    if fetched.waits.is_some() {
        watch(f, d, found).await?;
    }
    Ok(fetched)
}

/// Why a data set is there in part only, if one is: nobody works with a part.
fn arriving(found: &Parts, unknown: &BTreeMap<String, String>) -> Option<String> {
    let d = found.growing.iter().find(|d| d.state == keeper::ARRIVING)?;
    let name = format!("{}:{}", d.scope, d.name);
    Some(match unknown.get(&name) {
        Some(said) => format!("data set {name} is here in part, and the rest is not to be had: {said}"),
        None => format!("data set {name} is here in part; the rest is being copied"),
    })
}

/// A change of what is looked at makes the input be looked at again.
async fn watch(f: &Feeding<'_>, d: &TaskDataset, found: &Parts) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    for name in &found.names {
        catalogue::watch(&mut batch, &f.t.vo, name, d.id);
    }
    Ok(f.ops.store.apply(batch).await?)
}

/// What is missing, and what that means for this task; `None`: nothing, or it does not matter. `unknown`: what plug-ins say of it.
async fn missing(
    f: &Feeding<'_>,
    d: &TaskDataset,
    found: &Parts,
    unknown: &BTreeMap<String, String>,
) -> Result<Option<Listed>, EngineError> {
    let plan = f.plan();
    if found.too_many {
        let most = catalogue::MAX_PARTS;
        return Ok(Some(Listed::Broken(format!("{} has more than {most} constituents; use several tasks", d.name))));
    }
    let Some(name) = found.missing.first() else { return Ok(None) };
    let some = !found.ids.is_empty();
    let goes_on = plan.feed.is_open() || plan.feed.allow_incomplete || plan.feed.ignore_missing;
    if (some && goes_on) || d.n_files > 0 {
        return Ok(None);
    }
    let vo = &f.t.vo;
    let hours = plan.feed.wait_hours;
    if hours > 0 && f.now.0 - f.t.created_us >= hours.saturating_mul(3_600_000_000) {
        return Ok(Some(Listed::Broken(format!("data set {name} did not appear in VO {vo} within {hours} hours (`waitInput`)"))));
    }
    watch(f, d, found).await?;
    if let Some(said) = unknown.get(name.trim_end_matches('/')) {
        return Ok(Some(Listed::Wait(format!("data set {name} does not exist in VO {vo}: {said}"))));
    }
    let plain = crate::finish::catalogue::plain_name(name);
    Ok(Some(Listed::Wait(format!("data set {name} does not exist in VO {vo}; register it with `panda dataset add {plain} --dir DIR`"))))
}

/// Whether more files may come: the task runs until its data sets are closed (RC), or beside the parent that makes them (NW).
async fn may_grow(f: &Feeding<'_>, found: &Parts) -> Result<bool, EngineError> {
    let plan = f.plan();
    if !plan.feed.is_open() {
        return Ok(false);
    }
    let parent = match f.t.parent_id {
        Some(id) => archive::task::find(&f.ops.store, id).await?,
        None => None,
    };
    Ok(match parent {
        // A parent that has ended makes nothing more, whether its data sets were closed or not.
        Some(p) if p.state.is_final() => false,
        Some(_) if plan.feed.no_wait_parent => true,
        _ => plan.feed.until_closed && (found.open || !found.missing.is_empty()),
    })
}

fn compiled(list: &[String], anchored: bool) -> Vec<Regex> {
    list.iter().filter_map(|e| Regex::new(&if anchored { format!("^(?:{e})") } else { e.clone() }).ok()).collect()
}

/// Names that have rows; the last one left out when it is cut in part. `None`: more than `most`.
async fn known_names(f: &Feeding<'_>, d: &TaskDataset, within: bool, most: usize) -> Result<Option<Known>, EngineError> {
    let mut known = Known::default();
    let (mut after, mut last) = (0, None);
    loop {
        let page = task::file::names(&f.ops.store, d.id, after, NAMES).await?;
        let Some(end) = page.last() else { break };
        after = end.seq;
        for n in &page {
            let key = known::key(&n.lfn);
            if last != Some(key)
                && let Some(done) = last.replace(key)
            {
                known.add(done);
            }
        }
        if known.len() > most {
            return Ok(None);
        }
    }
    if let Some(last) = last.filter(|_| !within) {
        known.add(last);
    }
    Ok(Some(known))
}

/// Files, and parts of files, that these tasks have and that did not fail. `None`: more than `most`; the number of a task that does not exist.
async fn used_by(f: &Feeding<'_>, tasks: &[i64], most: usize) -> Result<Result<Option<Known>, i64>, EngineError> {
    let mut used = Known::default();
    for id in tasks {
        let id = panda_core::id::TaskId(*id);
        if archive::task::find(&f.ops.store, id).await?.is_none() {
            return Ok(Err(id.0));
        }
        let sets = archive::task::datasets(&f.ops.store, id).await?;
        for d in sets.iter().filter(|d| d.role == FileRole::Input && d.is_master) {
            let mut after = 0;
            loop {
                let page = archive::task::names(&f.ops.store, d.id, after, NAMES).await?;
                let Some(end) = page.last() else { break };
                after = end.seq;
                for n in page {
                    if matches!(n.state, FileState::Failed | FileState::Cancelled | FileState::Lost | FileState::Missing) {
                        continue;
                    }
                    used.add(match (n.first_event, n.last_event) {
                        (Some(first), Some(last)) => known::range_key(&n.lfn, first, last),
                        _ => known::key(&n.lfn),
                    });
                }
                if used.len() > most {
                    return Ok(Ok(None));
                }
            }
        }
    }
    Ok(Ok(Some(used)))
}

/// Files asked for by name, by name; what is not there is told unless the input may be incomplete.
async fn named(f: &Feeding<'_>, input: &Input, found: &Parts) -> Result<Result<Source, Listed>, EngineError> {
    let mut names: Vec<String> = input.files.iter().map(|w| w.rsplit(':').next().unwrap_or(w).to_owned()).collect();
    names.sort();
    names.dedup();
    let feed = &f.plan().feed;
    if !(feed.allow_incomplete || feed.ignore_missing || feed.is_open()) {
        let mut absent: std::collections::BTreeSet<&str> = names.iter().map(String::as_str).collect();
        for part in &found.ids {
            for chunk in names.chunks(source::PAGE) {
                for file in catalogue::named(&f.ops.store, *part, chunk).await? {
                    absent.remove(file.lfn.as_str());
                }
            }
        }
        if let Some(first) = absent.first() {
            let what = format!(
                "{} of the {} files asked for are not in {}, the first is {first}; leave them out or set `allowIncompleteInDS`",
                absent.len(),
                names.len(),
                input.datasets.join(",")
            );
            return Ok(Err(Listed::Broken(what)));
        }
    }
    Ok(Ok(Source::Listed { parts: found.ids.clone(), names, part: 0, next: 0 }))
}
