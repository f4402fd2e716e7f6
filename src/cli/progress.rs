//! What a person sees while a command works: a progress bar on a terminal, warnings on standard error.

use crate::base::{Counter, Issue, Observer, Stage, text};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Draws, or keeps quiet.
pub struct CliObserver {
    bar: Option<ProgressBar>,
    is_quiet: bool,
    is_verbose: bool,
    files: AtomicU64,
}

impl CliObserver {
    pub fn new(show_bar: bool, is_quiet: bool, is_verbose: bool) -> Self {
        let bar = show_bar.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, is_quiet, is_verbose, files: AtomicU64::new(0) }
    }

    /// A line for people, on standard error.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| write_line(line)),
            None => write_line(line),
        }
    }

    /// Whether a bar is drawn, so that it is worth knowing how much there is to do.
    pub fn shows_bar(&self) -> bool {
        self.bar.is_some()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn write_line(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// Stages that move a known or growing number of bytes get a bar, the others a spinner.
fn style(stage: Stage, has_total: bool) -> ProgressStyle {
    let moves_bytes = matches!(stage, Stage::BackingUp | Stage::Restoring | Stage::ReadingData);
    let template = match (moves_bytes, has_total) {
        (true, true) => "{prefix} {bar:30} {percent}% {bytes}/{total_bytes} {bytes_per_sec} ETA {eta} {msg}",
        (true, false) => "{prefix} {spinner} {bytes} {bytes_per_sec} {msg}",
        _ => "{prefix} {spinner} {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for CliObserver {
    fn stage(&self, stage: Stage) {
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_prefix(stage.title());
            bar.set_style(style(stage, false));
        } else if self.is_verbose {
            write_line(stage.title());
        }
    }

    fn add(&self, counter: Counter, amount: u64) {
        let Some(bar) = &self.bar else { return };
        match counter {
            Counter::BytesDone => bar.inc(amount),
            Counter::BytesTotal => {
                if bar.length().is_none() {
                    bar.set_style(style(Stage::BackingUp, true));
                    bar.set_length(amount);
                } else {
                    bar.inc_length(amount);
                }
            }
            Counter::FilesDone => {
                let done = self.files.fetch_add(amount, Relaxed) + amount;
                bar.set_message(format!("{done} files"));
            }
            Counter::FilesTotal | Counter::StoredBytes => {}
        }
    }

    fn issue(&self, issue: &Issue) {
        let word = if issue.code.is_remark() { "note" } else { "warning" };
        if !(self.is_quiet && issue.code.is_remark()) {
            self.say(&format!("{word}: {issue}"));
        }
    }

    fn note(&self, sentence: &str) {
        if !self.is_quiet {
            self.say(&format!("note: {}", text::escape(sentence.as_bytes())));
        }
    }
}
