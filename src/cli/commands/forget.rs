//! `ssb forget`

use super::prune::{PruneArgs, prune_and_show};
use super::snapshots::local_time;
use crate::base::duration;
use crate::cli::args::FilterArgs;
use crate::cli::context::{Context, tags};
use crate::cli::exit::{CliError, code};
use crate::cli::{output, settings};
use crate::config::zone;
use crate::ops::forget::{ForgetPlan, Rules, Which, execute, plan};
use crate::ops::prune::PruneSummary;
use crate::ops::retention::{Count, GroupBy, Keep, Span};
use crate::ops::snapshots::SnapshotFilter;
use crate::repo::Ahead;
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::time::Duration;

/// Remove snapshots by retention rules, or by id
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ssb forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --prune\n  ssb forget \
                        --keep-within 30d --dry-run\n  ssb forget 3f2a91c0\n  ssb forget --policy nightly --dry-run\n\nThe rules are applied to each group of snapshots on its own. \
                        A snapshot stays if any rule keeps it.\nSpans are written as 2y5m7d3h (years, months, days, hours; also w for \
                        weeks).\nSpace is freed by pruning."
)]
pub struct ForgetArgs {
    /// Remove exactly these snapshots
    #[arg(value_name = "SNAPSHOT", conflicts_with = "rules")]
    ids: Vec<String>,
    /// Apply the retention of this policy of the config to the snapshots that were made by it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["ids", "rules", "group_by"])]
    policy: Option<String>,
    #[command(flatten)]
    rules: RuleArgs,
    /// Group snapshots by these facts before the rules are applied: host, paths, tags, entry, or '' for none
    #[arg(long, value_name = "FACTS", default_value = "host,paths")]
    group_by: GroupBy,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only show what would be removed, and why the rest stays
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Free the space afterwards
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    prune_args: PruneOptionsArgs,
}

#[derive(Args)]
struct PruneOptionsArgs {
    /// With --prune: how much may stay unused in part-used packs, in percent of what is used
    #[arg(long, value_name = "PERCENT", default_value = "5%", requires = "prune", value_parser = super::prune::parse_percent)]
    max_unused: f64,
    /// With --prune: wait for the writers that are at work, for so long at most (90s, 30m, 2h) or without a limit
    #[arg(long, value_name = "DURATION", require_equals = true, requires = "prune", value_parser = duration::parse)]
    wait: Option<Option<Duration>>,
}

#[derive(Args)]
#[group(id = "rules", multiple = true)]
struct RuleArgs {
    /// Keep the newest N snapshots ('unlimited' for all)
    #[arg(long, value_name = "N")]
    keep_last: Option<Count>,
    /// Keep the newest of each of the last N hours that have one
    #[arg(long, value_name = "N")]
    keep_hourly: Option<Count>,
    /// The same for days
    #[arg(long, value_name = "N")]
    keep_daily: Option<Count>,
    /// The same for weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<Count>,
    /// The same for months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<Count>,
    /// The same for years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<Count>,
    /// Keep all within this span before the newest
    #[arg(long, value_name = "SPAN")]
    keep_within: Option<Span>,
    /// Keep one per hour within this span
    #[arg(long, value_name = "SPAN")]
    keep_within_hourly: Option<Span>,
    /// Keep one per day within this span
    #[arg(long, value_name = "SPAN")]
    keep_within_daily: Option<Span>,
    /// Keep one per week within this span
    #[arg(long, value_name = "SPAN")]
    keep_within_weekly: Option<Span>,
    /// Keep one per month within this span
    #[arg(long, value_name = "SPAN")]
    keep_within_monthly: Option<Span>,
    /// Keep one per year within this span
    #[arg(long, value_name = "SPAN")]
    keep_within_yearly: Option<Span>,
    /// Keep all with all of these tags (a,b); may be repeated
    #[arg(long, value_name = "TAGS")]
    keep_tag: Vec<String>,
}

impl From<RuleArgs> for Keep {
    fn from(r: RuleArgs) -> Self {
        Self {
            last: r.keep_last,
            hourly: r.keep_hourly,
            daily: r.keep_daily,
            weekly: r.keep_weekly,
            monthly: r.keep_monthly,
            yearly: r.keep_yearly,
            within: r.keep_within,
            within_hourly: r.keep_within_hourly,
            within_daily: r.keep_within_daily,
            within_weekly: r.keep_within_weekly,
            within_monthly: r.keep_within_monthly,
            within_yearly: r.keep_within_yearly,
            tags: r.keep_tag.iter().map(|set| tags(set)).collect(),
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    plan: &'a ForgetPlan,
    dry_run: bool,
    prune: Option<PruneSummary>,
}

pub fn run(context: &Context, args: ForgetArgs) -> Result<u8, CliError> {
    let filter = context.filter(&args.filter)?;
    let which = if let Some(name) = &args.policy {
        by_policy(context, name, filter)?
    } else if args.ids.is_empty() {
        let (keep, group_by) = (args.rules.into(), args.group_by);
        Which::Rules(Box::new(Rules { keep, group_by, filter, zone: TimeZone::system() }))
    } else {
        Which::Ids(args.ids, Box::new(filter))
    };
    let repo = context.open_repo(Ahead::Snapshots)?;
    let plan = plan(&repo, which)?;
    if !context.global.json && !context.global.quiet {
        output::line_out(&describe(&plan, args.dry_run))?;
    }
    if !args.dry_run {
        execute(&repo, &plan)?;
    }
    let mut summary = None;
    if args.prune && !args.dry_run {
        let PruneOptionsArgs { max_unused, wait } = args.prune_args;
        let prune_args = PruneArgs { dry_run: false, max_unused, fence_after: None, wait };
        summary = Some(prune_and_show(context, &repo, prune_args)?);
    }
    context.observer.finish();
    if context.global.json {
        output::json(&Shown { plan: &plan, dry_run: args.dry_run, prune: summary })?;
    }
    Ok(code::DONE)
}

/// The rules of a policy, for each entry and group of its own.
fn by_policy(context: &Context, name: &str, filter: SnapshotFilter) -> Result<Which, CliError> {
    let loaded = context.config()?.ok_or_else(settings::nowhere)?;
    let policies = &loaded.config.policies;
    let policy = policies.get(name).ok_or_else(|| {
        let known = policies.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        CliError::usage(format!("'{name}' is no policy of the config {}; there are: {known}", loaded.path.display()))
    })?;
    let retention = policy.retention.as_ref().ok_or_else(|| {
        CliError::usage(format!("the policy '{name}' has no retention, so all of its snapshots are kept"))
    })?;
    let zone = zone(policy.time_zone.as_deref(), &TimeZone::system()).map_err(|e| CliError::usage(e.to_string()))?;
    let filter = SnapshotFilter { policy: Some(name.to_owned()), ..filter };
    let group_by = GroupBy { paths: false, entry: true, ..GroupBy::default() };
    Ok(Which::Rules(Box::new(Rules { keep: Keep::from(retention), group_by, filter, zone })))
}

fn describe(plan: &ForgetPlan, dry_run: bool) -> String {
    let mut lines = Vec::new();
    for group in &plan.groups {
        lines.push(format!("group: {}", group.group));
        let rows: Vec<Vec<String>> = group
            .verdicts
            .iter()
            .map(|v| {
                let found = plan.snapshots.iter().find(|s| s.id == v.id);
                let (time, tags) =
                    found.map_or_else(Default::default, |s| (local_time(s.manifest.time), s.manifest.tags.join(",")));
                let reasons: Vec<String> = v.reasons.iter().map(ToString::to_string).collect();
                let verdict = if v.keep { "keep" } else { "remove" };
                vec![verdict.to_owned(), v.id.short(), time, tags, reasons.join("; ")]
            })
            .collect();
        lines.push(output::table(&["", "ID", "Time", "Tags", "Why"], &[], &rows));
        lines.push(String::new());
    }
    let verb = if dry_run { "would be removed" } else { "removed" };
    lines.push(format!("{} {verb}", output::count(plan.remove.len() as u64, "snapshot", "snapshots")));
    lines.join("\n")
}
