//! What somebody else makes of a decision: an experiment's own broker rules queues out and weighs the others.

use super::{Criterion, Decision, Kept, MAX_NAMES, Removed, draw};
use crate::time::Random;

/// Queues that may be drawn, with other weights where they have one; why the others are ruled out; who says so.
#[derive(Debug, Clone, Copy)]
pub struct Preference<'a> {
    /// The queues.
    pub queues: &'a [(String, Option<f64>)],
    /// Why.
    pub reason: &'a str,
    /// Who, as people read it.
    pub who: &'a str,
}

impl Decision {
    /// The same with only these queues, and one of them drawn anew.
    ///
    /// # Errors
    /// What makes no sense: a queue that did not pass, or stands twice; a weight that is no number of at least 0.
    pub fn prefer(&mut self, p: &Preference<'_>, random: &mut dyn Random) -> Result<(), String> {
        let mut kept: Vec<Kept> = Vec::with_capacity(p.queues.len());
        for (name, weight) in p.queues {
            let Some(found) = self.kept.iter().find(|k| k.queue == *name) else {
                return Err(format!("{name} is none of the queues that fit"));
            };
            if kept.iter().any(|k| k.queue == *name) {
                return Err(format!("{name} stands twice"));
            }
            let weight = weight.unwrap_or(found.weight);
            if !weight.is_finite() || weight < 0.0 {
                return Err(format!("{name} has the weight {weight}"));
            }
            kept.push(Kept { weight, ..found.clone() });
        }
        // The sort is stable: of equals, whoever was named first.
        kept.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let out: Vec<&str> = self.kept.iter().filter(|k| !kept.iter().any(|l| l.queue == k.queue)).map(|k| k.queue.as_str()).collect();
        if !out.is_empty() {
            let reason = if p.reason.is_empty() { String::new() } else { format!(": {}", p.reason) };
            let queues = out.iter().take(MAX_NAMES).map(|n| (*n).to_owned()).collect();
            let why = format!("ruled out by {}{reason}", p.who);
            self.funnel.push(Removed { criterion: Criterion::Plugin, why, count: out.len(), queues });
            self.passed -= out.len();
        }
        self.kept = kept;
        self.chosen = draw(&self.kept, random);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SplitMix64;

    fn decision() -> Decision {
        let kept = |queue: &str, weight| Kept { queue: queue.into(), weight, used: false };
        let kept = vec![kept("A", 3.0), kept("B", 2.0), kept("C", 1.0)];
        Decision { considered: 4, funnel: Vec::new(), waived: Vec::new(), passed: 3, kept, chosen: Some(0), frees: Vec::new() }
    }
    fn prefer(queues: &[(&str, Option<f64>)]) -> Result<Decision, String> {
        let queues: Vec<(String, Option<f64>)> = queues.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        let mut d = decision();
        d.prefer(&Preference { queues: &queues, reason: "on strike", who: "brokerage plug-in `own`" }, &mut SplitMix64::new(1))?;
        Ok(d)
    }

    #[test]
    fn queues_are_ruled_out_and_weighed() {
        let d = prefer(&[("C", Some(9.0)), ("B", None)]).unwrap();
        let kept: Vec<(&str, f64)> = d.kept.iter().map(|k| (k.queue.as_str(), k.weight)).collect();
        assert_eq!(kept, [("C", 9.0), ("B", 2.0)]);
        assert_eq!((d.passed, d.funnel.len(), d.funnel[0].queues.as_slice()), (2, 1, &["A".to_owned()][..]));
        assert!(d.chosen().is_some());
        assert_eq!(prefer(&[("C", Some(1.0)), ("A", Some(0.0)), ("B", Some(0.0))]).unwrap().chosen(), Some("C"));
    }

    #[test]
    fn none_left_is_told() {
        let d = prefer(&[]).unwrap();
        assert_eq!((d.chosen(), d.passed), (None, 0));
        assert_eq!(d.sentence(), "no queue of 4 can take it: 3 ruled out by brokerage plug-in `own`: on strike (A, B, C)");
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(prefer(&[("Z", None)]).unwrap_err(), "Z is none of the queues that fit");
        assert_eq!(prefer(&[("A", None), ("A", None)]).unwrap_err(), "A stands twice");
        assert!(prefer(&[("A", Some(f64::NAN))]).is_err() && prefer(&[("A", Some(-1.0))]).is_err());
    }
}
