//! Telling of a finished run: one [`RunRecord`], many renderings, and the ways they take. Runs nothing and decides nothing about
//! the run.

mod attempt;
mod chart;
mod deliver;
mod files;
mod history;
mod html;
mod http;
mod log;
mod mail;
mod mask;
mod metrics;
mod record;
pub mod sample;
mod slack;
mod statsd;
pub mod text;
mod view;
mod words;

pub use deliver::{Courier, Delivery, Outcome};
pub use history::{History, MOST_RECORDS};
pub use html::{Pages, Written};
pub use log::{layer as log_layer, log_job, log_run, log_start};
pub use mask::Mask;
pub use record::{
    HookFailure, JobRecord, JobStatus, PruneRecord, RetentionRecord, RunRecord, RunStatus, Skipped, SnapshotVerdict,
};
pub use view::View;
