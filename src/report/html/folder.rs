//! The folder of the pages: which names are ours, what is written, what goes.

use super::index::{self, Brief, Listed};
use super::page;
use crate::config::Html;
use crate::report::{RunRecord, View, files, words};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

const SHAPE: &str = "0000-00-00T00:00:00";
const INDEX: &str = "index.html";
/// Runs that may begin in the same second of the same clock.
const MOST_TWINS: u32 = 1000;
/// What a page says of itself stands at its beginning.
const HEAD_BYTES: u64 = 8 * 1024;

/// The pages of the config.
pub struct Pages<'a> {
    settings: &'a Html,
}

/// The names of the pages of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub page: String,
    pub errors: Option<String>,
}

impl<'a> Pages<'a> {
    pub fn new(settings: &'a Html) -> Self {
        Self { settings }
    }

    /// Writes the pages of the run, lets old ones go and writes the index anew.
    ///
    /// # Errors
    /// A sentence that names the folder.
    pub fn write(&self, view: &View<'_>) -> Result<Written, String> {
        let folder = self.settings.folder.as_path();
        let named = |e: &dyn std::fmt::Display| format!("no page could be written to {}: {e}", folder.display());
        fs::create_dir_all(folder).map_err(|e| named(&e))?;
        let written = write_page(folder, view).map_err(|e| named(&e))?;
        let listed = self.without_old(view.record, &written).map_err(|e| named(&e))?;
        let index = index::render(&listed, &view.record.program).map_err(|e| named(&e))?;
        files::replace(&folder.join(INDEX), index.as_bytes(), files::SHARED).map_err(|e| named(&e))?;
        Ok(written)
    }

    /// The address of a page, if the config says where the folder is seen.
    pub fn link(&self, name: &str) -> Option<String> {
        let url = self.settings.url.as_deref()?;
        Some(format!("{}/{name}", url.trim_end_matches('/')))
    }

    /// Removes the pages that are too many or too old, and gives the others, newest first.
    fn without_old(&self, record: &RunRecord, written: &Written) -> io::Result<Vec<Listed>> {
        let folder = self.settings.folder.as_path();
        let now = record.ended.to_zoned(words::zone(record)).datetime();
        let age = self.settings.max_age.and_then(|age| SignedDuration::try_from(age.0).ok());
        let oldest = age.and_then(|age| now.checked_sub(age).ok());
        let mut listed: Vec<Listed> = Vec::new();
        let mut is_new_ahead = true;
        for (stamp, (page, errors)) in stamps(folder)?.into_iter().rev() {
            let is_new = page.as_ref() == Some(&written.page);
            let is_old = oldest.is_some_and(|oldest| time_of(&stamp).is_some_and(|time| time < oldest));
            is_new_ahead &= !is_new;
            // What has just been written stays, however many clocks are ahead.
            let room = self.settings.keep.saturating_sub(usize::from(is_new_ahead));
            if !is_new && (is_old || listed.len() >= room) {
                for name in page.iter().chain(&errors) {
                    // Whoever cannot remove today may do so tomorrow; the report matters more.
                    fs::remove_file(folder.join(name)).ok();
                }
            } else if let Some(page) = page {
                let brief = head(&folder.join(&page)).ok().and_then(|head| Brief::find(&head));
                listed.push(Listed { stamp, page, errors, brief });
            }
        }
        Ok(listed)
    }
}

/// Writes the page, and the one of errors if there are any, under a name that no other run has.
fn write_page(folder: &Path, view: &View<'_>) -> Result<Written, String> {
    let stamp = view.record.begun.to_zoned(words::zone(view.record)).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    for number in 1..=MOST_TWINS {
        let stamp = if number == 1 { stamp.clone() } else { format!("{stamp}-{number}") };
        let name = format!("backup-{stamp}.html");
        let page = page::render(view, None).map_err(|e| e.to_string())?;
        if !files::add(&folder.join(&name), page.as_bytes(), files::SHARED).map_err(|e| e.to_string())? {
            continue;
        }
        let errors = view.record.has_errors().then(|| format!("error-{stamp}.html"));
        if let Some(errors) = &errors {
            let page = page::render(view, Some(&name)).map_err(|e| e.to_string())?;
            files::replace(&folder.join(errors), page.as_bytes(), files::SHARED).map_err(|e| e.to_string())?;
        }
        return Ok(Written { page: name, errors });
    }
    Err("too many runs began in the same second".to_owned())
}

type Names = (Option<String>, Option<String>);

/// The names of our pages by their stamps: of the whole page, of the errors.
fn stamps(folder: &Path) -> io::Result<BTreeMap<String, Names>> {
    let mut found: BTreeMap<String, Names> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_file = entry.file_type()?.is_file();
        let Some((kind, stamp)) = stamp_of(&name).filter(|_| is_file) else { continue };
        let names = found.entry(stamp.to_owned()).or_default();
        let place = if kind == "backup" { &mut names.0 } else { &mut names.1 };
        *place = Some(name.clone());
    }
    Ok(found)
}

/// Kind and stamp of a name that is exactly one of ours.
fn stamp_of(name: &str) -> Option<(&str, &str)> {
    let (kind, rest) = name.split_once('-')?;
    let stamp = rest.strip_suffix(".html")?;
    let (time, number) = stamp.split_at_checked(SHAPE.len())?;
    let is_number =
        |text: &str| text.parse::<u32>().is_ok_and(|n| (2..=MOST_TWINS).contains(&n) && n.to_string() == text);
    let is_twin = number.is_empty() || number.strip_prefix('-').is_some_and(is_number);
    let is_ours = ["backup", "error"].contains(&kind) && words::has_shape(time, SHAPE) && is_twin;
    (is_ours && time.parse::<DateTime>().is_ok()).then_some((kind, stamp))
}

fn time_of(stamp: &str) -> Option<DateTime> {
    stamp.get(..SHAPE.len())?.parse().ok()
}

fn head(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_ours() {
        for name in ["backup-2026-01-02T03:04:05.html", "error-2026-01-02T03:04:05-12.html"] {
            assert!(stamp_of(name).is_some(), "{name}");
        }
        for name in [
            "backup-2026-01-02.html",
            "backup-2026-01-02T03:04:05.html~",
            "backup-2026-01-02T03:04:05.htm",
            "my-backup-2026-01-02T03:04:05.html",
            "backup-2026-13-02T03:04:05.html",
            "backup-2026-01-02T03:04:05-1.html",
            "backup-2026-01-02T03:04:05-02.html",
            "backup-2026-01-02T03:04:05-x.html",
            "Backup-2026-01-02T03:04:05.html",
            "backup-2026-01-02 03:04:05.html",
            "backup-2026-01-02T03:04:0ü.html",
            "index.html",
        ] {
            assert_eq!(stamp_of(name), None, "{name}");
        }
    }
}
