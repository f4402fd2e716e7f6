//! Forgetting snapshots: by retention rules, group by group, or by id. Frees no space: that is prune's.

use super::error::{OpsError, Result};
use super::retention::{Candidate, Facts, GroupBy, Keep, Verdict, decide, group, removes_all};
use super::snapshots::SnapshotFilter;
use crate::base::SnapshotId;
use crate::repo::{Listing, Repo, Snapshot};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

/// What to forget.
pub enum Which {
    /// Exactly these; prefixes of ids, or `latest`, the newest that the filter accepts.
    Ids(Vec<String>, Box<SnapshotFilter>),
    Rules(Box<Rules>),
}

/// Retention rules, and what they apply to.
pub struct Rules {
    pub keep: Keep,
    pub group_by: GroupBy,
    pub filter: SnapshotFilter,
    /// Whose calendar counts days, weeks and months.
    pub zone: TimeZone,
}

/// The verdicts on one group.
#[derive(Debug, Serialize)]
pub struct GroupPlan {
    pub group: String,
    /// Newest first.
    pub verdicts: Vec<Verdict>,
}

/// What is to be kept and removed, with reasons.
#[derive(Debug, Default, Serialize)]
pub struct ForgetPlan {
    pub groups: Vec<GroupPlan>,
    pub remove: Vec<SnapshotId>,
    #[serde(skip)]
    pub snapshots: Vec<Snapshot>,
}

/// Decides; removes nothing.
pub fn plan(repo: &Repo, which: Which) -> Result<ForgetPlan> {
    let listing = repo.snapshots_at_opening()?;
    match which {
        Which::Ids(wanted, filter) => plan_ids(listing, &wanted, &filter),
        Which::Rules(rules) => plan_rules(listing, &rules, repo.edges.clock.now()),
    }
}

fn plan_rules(listing: Listing, rules: &Rules, now: Timestamp) -> Result<ForgetPlan> {
    if rules.keep.is_empty() {
        return Err(OpsError::Usage(
            "no rule says what to keep; give at least one of --keep-last, --keep-daily, --keep-within, ... or snapshot ids"
                .to_owned(),
        ));
    }
    let mut plan = ForgetPlan::default();
    let snapshots: Vec<Snapshot> = listing.snapshots.into_iter().filter(|s| rules.filter.accepts(s)).collect();
    let key = |s: &&Snapshot| {
        let m = &s.manifest;
        rules.group_by.key(Facts { host: &m.host, paths: &m.sources, tags: &m.tags, entry: m.label.name() })
    };
    for (key, members) in group(&snapshots, key) {
        let candidate = |s: &&Snapshot| Candidate { id: s.id, time: s.manifest.time, tags: s.manifest.tags.clone() };
        let candidates: Vec<Candidate> = members.iter().map(candidate).collect();
        let verdicts = decide(&candidates, &rules.keep, &rules.zone, now);
        if removes_all(&verdicts) {
            return Err(OpsError::Usage(format!(
                "the rules keep no snapshot of {key}; nothing was removed, give a rule that keeps at least one, or name the \
                 snapshots by their ids"
            )));
        }
        plan.remove.extend(verdicts.iter().filter(|v| !v.keep).map(|v| v.id));
        plan.groups.push(GroupPlan { group: key.to_string(), verdicts });
    }
    plan.snapshots = snapshots;
    Ok(plan)
}

fn plan_ids(listing: Listing, wanted: &[String], filter: &SnapshotFilter) -> Result<ForgetPlan> {
    let mut plan = ForgetPlan::default();
    for text in wanted {
        // A damaged snapshot can be forgotten too, but only by its whole id.
        let damaged = text.parse::<SnapshotId>().ok().filter(|id| listing.damaged.iter().any(|(bad, _)| bad == id));
        let id = match damaged {
            Some(id) => id,
            None => {
                let sound = Listing { snapshots: listing.snapshots.clone(), damaged: Vec::new() };
                let snapshot = sound.resolve(text, |s| filter.accepts(s))?;
                let id = snapshot.id;
                plan.snapshots.push(snapshot);
                id
            }
        };
        if !plan.remove.contains(&id) {
            plan.remove.push(id);
        }
    }
    Ok(plan)
}

/// Removes what the plan says.
pub fn execute(repo: &Repo, plan: &ForgetPlan) -> Result<()> {
    Ok(repo.delete_snapshots(&plan.remove)?)
}
