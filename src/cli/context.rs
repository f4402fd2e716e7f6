//! What every command needs: settings brought together from options and environment, the edges, an open repository.

use super::args::Global;
use super::exit::CliError;
use super::password;
use super::progress::CliObserver;
use crate::base::{Cancel, SystemClock, SystemEntropy, SystemPacer};
use crate::ops::snapshots::SnapshotFilter;
use crate::repo::{Ahead, Edges, Repo, RepoError};
use crate::source::Roots;
use crate::store::{Counters, ErrorKind, Location, OpenOptions, Opened, Rates, RequestCounts, S3Settings};
use std::io::IsTerminal;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

pub struct Context {
    pub global: Global,
    pub cancel: Cancel,
    pub observer: Arc<CliObserver>,
    counters: OnceLock<Arc<Counters>>,
}

impl Context {
    pub fn new(global: Global) -> Result<Self, CliError> {
        let level = match global.verbose {
            0 => tracing::Level::ERROR,
            1 => tracing::Level::INFO,
            _ => tracing::Level::DEBUG,
        };
        let filter = tracing_subscriber::filter::Targets::new().with_target("ssb", level);
        use tracing_subscriber::layer::SubscriberExt;
        use tracing_subscriber::util::SubscriberInitExt;
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        tracing_subscriber::registry().with(layer).with(filter).try_init().ok();
        let show_bar = std::io::stderr().is_terminal() && !global.quiet && !global.json;
        let observer = Arc::new(CliObserver::new(show_bar, global.quiet, global.verbose > 0));
        let cancel = Cancel::new();
        catch_signals(&cancel)?;
        Ok(Self { global, cancel, observer, counters: OnceLock::new() })
    }

    pub fn location(&self) -> Result<Location, CliError> {
        let named = self.global.repo.clone().or_else(|| variable("SSB_REPOSITORY"));
        let bucket = || variable("S3_BUCKET").map(|bucket| format!("s3://{bucket}"));
        let text = named.or_else(bucket).ok_or_else(|| {
            CliError::usage("no repository was named; use --repo, or set SSB_REPOSITORY, or S3_BUCKET and S3_ENDPOINT")
        })?;
        let mut location = Location::parse(&text)?;
        if let Location::S3(s3) = &mut location {
            s3.region = self.global.s3_region.clone().filter(|r| !r.is_empty());
            let for_all_tools = || variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
            s3.endpoint = self.global.s3_endpoint.clone().filter(|e| !e.is_empty()).or_else(for_all_tools);
            s3.path_style = self.global.s3_path_style;
        }
        Ok(location)
    }

    pub fn open_store(&self, create: bool) -> Result<Arc<dyn crate::store::ObjectStore>, CliError> {
        let location = self.location()?;
        let options = self.open_options(create);
        let Opened { store, counters } = crate::store::open(&location, &options).map_err(|error| match error.kind {
            ErrorKind::NoBucket if !create && matches!(location, Location::Directory(_)) => {
                CliError::from(RepoError::NoRepository { place: error.store })
            }
            _ => error.into(),
        })?;
        self.counters.set(counters).ok();
        Ok(store)
    }

    fn open_options(&self, create: bool) -> OpenOptions {
        let global = &self.global;
        let mut s3 = S3Settings { ca_file: variable("AWS_CA_BUNDLE").map(PathBuf::from), ..S3Settings::default() };
        if let Some(timeout) = global.request_timeout {
            // Whoever knows the server knows it for the first request too.
            (s3.request_timeout, s3.first_answer_timeout) = (timeout, timeout);
        }
        let rate = |bytes_per_s: Option<u64>| bytes_per_s.and_then(NonZeroU64::new);
        let rates = Rates { upload: rate(global.limit_upload), download: rate(global.limit_download) };
        let mut options = OpenOptions { create, rates, s3, cancel: self.cancel.clone(), ..OpenOptions::default() };
        options.connections = global.connections.unwrap_or(options.connections);
        options
    }

    /// The repository, unlocked.
    pub fn open_repo(&self, ahead: Ahead) -> Result<Arc<Repo>, CliError> {
        let edges = self.edges();
        let found = Repo::find(self.open_store(false)?, edges.cache_root.as_deref(), ahead)?;
        let passphrase = password::existing(&self.global)?;
        Ok(Arc::new(found.unlock(&passphrase, edges)?))
    }

    /// The requests that were made so far.
    pub fn requests(&self) -> RequestCounts {
        self.counters.get().map(|counters| counters.snapshot()).unwrap_or_default()
    }

    pub fn edges(&self) -> Edges {
        Edges {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            pacer: Arc::new(SystemPacer::new(self.cancel.clone())),
            host: host(),
            user: user(),
            cache_root: if self.global.no_cache { None } else { self.cache_root() },
            observer: self.observer.clone(),
        }
    }

    fn cache_root(&self) -> Option<PathBuf> {
        let chosen = self.global.cache_dir.clone();
        let folder = || variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || Some(PathBuf::from(variable("HOME")?).join(".cache"));
        chosen.or_else(|| Some(folder().or_else(home)?.join("ssb")))
    }

    pub fn filter(&self, args: &super::args::FilterArgs) -> Result<SnapshotFilter, CliError> {
        let base = working_directory()?;
        let paths = args.path.iter().flat_map(|path| Roots::new(std::slice::from_ref(path), &base).paths());
        Ok(SnapshotFilter {
            hosts: args.host.clone(),
            tags: args.tag.iter().map(|set| tags(set)).collect(),
            paths: paths.map(|path| crate::base::text::escape(&path)).collect(),
        })
    }
}

/// `a,b` as two tags.
pub fn tags(set: &str) -> Vec<String> {
    set.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

pub fn working_directory() -> Result<PathBuf, CliError> {
    std::env::current_dir().map_err(|e| CliError::usage(format!("the working directory cannot be read: {e}")))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn user() -> String {
    variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| rustix::process::getuid().as_raw().to_string())
}

/// The first signal asks to stop, the second one ends the process at once.
fn catch_signals(cancel: &Cancel) -> Result<(), CliError> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let armed: Arc<AtomicBool> = cancel.flag();
    for signal in [SIGINT, SIGTERM] {
        let code = i32::from(super::exit::code::INTERRUPTED);
        signal_hook::flag::register_conditional_shutdown(signal, code, armed.clone())?;
        signal_hook::flag::register(signal, armed.clone())?;
    }
    Ok(())
}
