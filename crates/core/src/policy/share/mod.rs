//! Global shares: a tree of targets, and the leaf that a task belongs to (`spec/engine.md` section 9.1).
//!
//! It must not know lanes, counts or regular expressions: whether a pattern fits a value is asked of the caller.

pub mod account;
#[cfg(test)]
mod account_tests;
mod problem;

pub use problem::Problem;

/// The share of what no rule matches and no setting names.
pub const UNDEFINED: &str = "Undefined";
/// Percent that [`UNDEFINED`] has at the top level when the shares there take everything: what matches nothing must not starve.
pub const UNDEFINED_MIN: f64 = 1.0;
/// Most shares: they are looked through for every new task.
pub const MAX_SHARES: usize = 1_000;
/// Most levels; each costs a comparison at every dispatch.
pub const MAX_DEPTH: usize = 8;
/// Longest name (the column's width).
pub const MAX_NAME: usize = 60;

/// What a task must be like to belong to a share: patterns that match the whole value; None = anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// VO.
    pub vo: Option<String>,
    /// `prodSourceLabel`.
    pub label: Option<String>,
    /// Working group.
    pub working_group: Option<String>,
    /// Campaign.
    pub campaign: Option<String>,
    /// Processing type.
    pub processing_type: Option<String>,
    /// Address or path of the transformation.
    pub transformation: Option<String>,
    /// Resource type.
    pub resource_type: Option<String>,
    /// Shown name of the owner.
    pub user: Option<String>,
}

/// What a task is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// VO.
    pub vo: &'a str,
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// Working group.
    pub working_group: &'a str,
    /// Campaign.
    pub campaign: &'a str,
    /// Processing type.
    pub processing_type: &'a str,
    /// Address or path of the transformation.
    pub transformation: &'a str,
    /// Resource type.
    pub resource_type: &'a str,
    /// Shown name of the owner.
    pub user: &'a str,
}

impl Rules {
    /// Each rule by the name that people give it.
    #[must_use]
    pub fn texts(&self) -> [(&'static str, Option<&str>); 8] {
        [
            ("vo", self.vo.as_deref()),
            ("label", self.label.as_deref()),
            ("working_group", self.working_group.as_deref()),
            ("campaign", self.campaign.as_deref()),
            ("processing_type", self.processing_type.as_deref()),
            ("transformation", self.transformation.as_deref()),
            ("resource_type", self.resource_type.as_deref()),
            ("user", self.user.as_deref()),
        ]
    }
    /// The rule of this name, for filling in.
    pub fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "vo" => &mut self.vo,
            "label" => &mut self.label,
            "working_group" => &mut self.working_group,
            "campaign" => &mut self.campaign,
            "processing_type" => &mut self.processing_type,
            "transformation" => &mut self.transformation,
            "resource_type" => &mut self.resource_type,
            "user" => &mut self.user,
            _ => return None,
        })
    }
    /// How many rules there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.texts().iter().filter(|(_, text)| text.is_some()).count()
    }
    /// Whether every rule fits, as `is_match(pattern, value)` says.
    fn fit(&self, facts: &Facts<'_>, is_match: &dyn Fn(&str, &str) -> bool) -> bool {
        let values = [
            facts.vo,
            facts.label,
            facts.working_group,
            facts.campaign,
            facts.processing_type,
            facts.transformation,
            facts.resource_type,
            facts.user,
        ];
        self.texts().iter().zip(values).all(|((_, pattern), value)| pattern.is_none_or(|p| is_match(p, value)))
    }
}

/// A share as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Name, unique.
    pub name: String,
    /// The share that it is a part of; None at the top.
    pub parent: Option<String>,
    /// Percent among its siblings, which are normalised to their sum.
    pub value: f64,
    /// Whether generation of jobs for it is throttled (section 10).
    pub throttled: bool,
    /// Leaves are matched by this number, the smallest first.
    pub position: i64,
    /// Which tasks belong to it; those of its ancestors hold too.
    pub rules: Rules,
}

impl Share {
    /// A share without rules.
    #[must_use]
    pub fn new(name: &str, parent: Option<&str>, value: f64) -> Self {
        Self { name: name.to_owned(), parent: parent.map(str::to_owned), value, throttled: false, position: 0, rules: Rules::default() }
    }
}

/// A share in its tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// As configured.
    pub share: Share,
    /// Index of the parent.
    pub parent: Option<usize>,
    /// Indices of the parts, by position and name.
    pub children: Vec<usize>,
    /// Part of its parent, 0 to 1; siblings sum up to 1.
    pub part: f64,
    /// Part of everything, 0 to 1; the leaves sum up to 1.
    pub target: f64,
}

/// A checked tree. Parents stand before their parts; [`UNDEFINED`] is always there.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Leaves in the order in which they are matched.
    order: Vec<usize>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::build(Vec::new())
    }
}

impl Tree {
    /// Checks the shares and builds their tree.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first thing.
    pub fn new(shares: Vec<Share>) -> Result<Self, Vec<Problem>> {
        let problems = problem::of(&shares);
        if problems.is_empty() { Ok(Self::build(shares)) } else { Err(problems) }
    }

    fn build(mut shares: Vec<Share>) -> Self {
        if !shares.iter().any(|s| s.name == UNDEFINED) {
            let top: f64 = shares.iter().filter(|s| s.parent.is_none()).map(|s| s.value).sum();
            shares.push(Share { position: i64::MAX, ..Share::new(UNDEFINED, None, (100.0 - top).max(UNDEFINED_MIN)) });
        }
        shares.sort_by(|a, b| (a.position, &a.name).cmp(&(b.position, &b.name)));
        let mut tree = Self { nodes: Vec::with_capacity(shares.len()), order: Vec::new() };
        tree.add_level(&shares, None);
        let mut leaves: Vec<usize> = (0..tree.nodes.len()).filter(|i| tree.nodes[*i].children.is_empty()).collect();
        leaves.sort_by(|a, b| tree.rank(*a).cmp(&tree.rank(*b)));
        tree.order = leaves;
        tree
    }

    fn add_level(&mut self, shares: &[Share], parent: Option<usize>) {
        let above = parent.map(|p| self.nodes[p].share.name.clone());
        let mine: Vec<&Share> = shares.iter().filter(|s| s.parent == above).collect();
        let sum: f64 = mine.iter().map(|s| s.value).sum();
        for share in mine {
            let part = if sum > 0.0 { share.value / sum } else { 0.0 };
            let target = part * parent.map_or(1.0, |p| self.nodes[p].target);
            let index = self.nodes.len();
            self.nodes.push(Node { share: share.clone(), parent, children: Vec::new(), part, target });
            if let Some(p) = parent {
                self.nodes[p].children.push(index);
            }
            self.add_level(shares, Some(index));
        }
    }

    /// Rules on the way from the top to a share.
    fn depth_of_rules(&self, at: usize) -> usize {
        self.path(at).map(|i| self.nodes[i].share.rules.count()).sum()
    }

    /// By which leaves are matched: position, then the most particular one, then name.
    fn rank(&self, at: usize) -> (i64, std::cmp::Reverse<usize>, &str) {
        let share = &self.nodes[at].share;
        (share.position, std::cmp::Reverse(self.depth_of_rules(at)), &share.name)
    }

    /// A share and its ancestors.
    fn path(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at), |i| self.nodes[*i].parent)
    }

    /// Every share, parents first.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The share of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.share.name == name)
    }

    /// Whether jobs can belong to this share.
    #[must_use]
    pub fn is_leaf(&self, name: &str) -> bool {
        self.get(name).is_some_and(|n| n.children.is_empty())
    }

    /// The leaf that a task belongs to: the first one whose rules and whose ancestors' rules all fit. A leaf without any rule on its way is
    /// matched by nothing: it is chosen by name only. None = no leaf fits.
    #[must_use]
    pub fn of(&self, facts: &Facts<'_>, is_match: &dyn Fn(&str, &str) -> bool) -> Option<&Node> {
        let fits = |at: usize| self.depth_of_rules(at) > 0 && self.path(at).all(|i| self.nodes[i].share.rules.fit(facts, is_match));
        self.order.iter().find(|at| fits(**at)).map(|at| &self.nodes[*at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(name: &str, parent: Option<&str>, value: f64, rules: &[(&str, &str)]) -> Share {
        let mut share = Share::new(name, parent, value);
        for (key, pattern) in rules {
            *share.rules.slot(key).unwrap() = Some((*pattern).to_owned());
        }
        share
    }
    /// Patterns of these tests are alternatives of whole words.
    fn words(pattern: &str, value: &str) -> bool {
        pattern.split('|').any(|p| p == value)
    }
    fn tree() -> Tree {
        Tree::new(vec![
            share("Production", None, 60.0, &[("label", "managed|test")]),
            share("Simulation", Some("Production"), 75.0, &[("processing_type", "simul|evgen")]),
            share("Reprocessing", Some("Production"), 25.0, &[("processing_type", "reprocessing")]),
            share("Analysis", None, 30.0, &[("label", "user|panda")]),
            share("Group", Some("Analysis"), 10.0, &[("working_group", "higgs|top")]),
            share("User", Some("Analysis"), 30.0, &[]),
        ])
        .unwrap()
    }

    /// engine.md 9.1: child target = parent × value / Σ siblings.
    #[test]
    fn targets_are_normalised_level_by_level() {
        let t = tree();
        let target = |name: &str| (t.get(name).unwrap().target * 1_000.0).round();
        // 60 + 30 leave 10 for what matches nothing.
        assert_eq!(target("Production"), 600.0);
        assert_eq!(target("Simulation"), 450.0);
        assert_eq!(target("Reprocessing"), 150.0);
        assert_eq!(target("Group"), 75.0);
        assert_eq!(target("User"), 225.0);
        assert_eq!(target(UNDEFINED), 100.0);
        let leaves: f64 = t.nodes().iter().filter(|n| n.children.is_empty()).map(|n| n.target).sum();
        assert!((leaves - 1.0).abs() < 1e-9);
        assert_eq!(Tree::default().get(UNDEFINED).unwrap().target, 1.0);
    }

    #[test]
    fn what_matches_nothing_keeps_a_part() {
        let full = Tree::new(vec![share("A", None, 100.0, &[("vo", "amber")])]).unwrap();
        assert!(full.get(UNDEFINED).unwrap().target > 0.009);
        let own = Tree::new(vec![share("A", None, 60.0, &[]), share(UNDEFINED, None, 40.0, &[])]).unwrap();
        assert!((own.get(UNDEFINED).unwrap().target - 0.4).abs() < 1e-9);
    }

    /// engine.md 9.1: leaves match by patterns; unmatched → `Undefined` (the caller's default).
    #[test]
    fn a_task_belongs_to_the_first_leaf_that_fits() {
        let t = tree();
        let of = |label: &str, kind: &str, group: &str| {
            let facts = Facts { vo: "amber", label, processing_type: kind, working_group: group, ..Facts::default() };
            t.of(&facts, &words).map(|n| n.share.name.as_str())
        };
        assert_eq!(of("managed", "simul", ""), Some("Simulation"));
        assert_eq!(of("test", "reprocessing", "higgs"), Some("Reprocessing"));
        // The ancestors' rules hold too, and the more particular leaf is asked first.
        assert_eq!(of("user", "simul", "higgs"), Some("Group"));
        assert_eq!(of("user", "simul", ""), Some("User"));
        assert_eq!(of("managed", "merge", ""), None);
        let mut shares: Vec<Share> = t.nodes().iter().map(|n| n.share.clone()).collect();
        shares.iter_mut().find(|s| s.name == "User").unwrap().position = -1;
        let first = Tree::new(shares).unwrap();
        let facts = Facts { label: "user", working_group: "higgs", ..Facts::default() };
        assert_eq!(first.of(&facts, &words).unwrap().share.name, "User", "position goes before particularity");
    }

    #[test]
    fn what_is_wrong_with_a_tree_is_said() {
        let said = |shares: Vec<Share>| Tree::new(shares).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert_eq!(
            said(vec![share("A", Some("B"), 10.0, &[])]),
            "share `A`: its parent `B` does not exist; create it first, or leave the parent away for the top level"
        );
        assert_eq!(
            said(vec![share("A", Some("B"), 10.0, &[]), share("B", Some("A"), 10.0, &[])]),
            "shares `A`, `B` are each other's parents; give one of them a parent outside of these"
        );
        assert_eq!(said(vec![share("A", Some("A"), 10.0, &[])]), "share `A` is its own parent; give it another one, or none");
        assert_eq!(
            said(vec![share("A", None, 60.0, &[]), share("B", None, 60.0, &[])]),
            "the shares at the top level sum up to 120 %; lower one of `A`, `B` so that they make 100 % at most"
        );
        assert_eq!(
            said(vec![share("A", None, 10.0, &[]), share("A", None, 20.0, &[])]),
            "share `A` is there twice; names are unique in the whole tree"
        );
        assert_eq!(said(vec![share("A", None, -1.0, &[])]), "share `A`: value must be a percentage from 0 to 100, got -1");
        assert_eq!(
            said(vec![share("A", None, 1.0, &[("vo", "x")]), share("B", None, 1.0, &[("vo", "x")])]),
            "shares `A` and `B` match the same tasks at the same position; change the rules or the position of one"
        );
        let deep: Vec<Share> = (0..=MAX_DEPTH)
            .map(|i| Share { parent: i.checked_sub(1).map(|p| format!("S{p}")), ..Share::new(&format!("S{i}"), None, 1.0) })
            .collect();
        assert_eq!(said(deep), "share `S8` stands below 8 others; a tree has at most 8 levels");
        assert!(said(vec![share("", None, 1.0, &[])]).contains("1 to 60"));
        assert_eq!(
            said(vec![share(UNDEFINED, None, 1.0, &[]), share("A", Some(UNDEFINED), 1.0, &[])]),
            "share `Undefined` takes what matches nothing and cannot have parts; `A` must stand elsewhere"
        );
    }
}
