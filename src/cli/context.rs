//! What every command needs: settings brought together from options, environment and config, the edges, an open
//! repository.

use super::args::Global;
use super::exit::CliError;
use super::progress::CliObserver;
use super::settings::{self, variable};
use super::{output, password};
use crate::base::{Cancel, SystemClock, SystemEntropy, SystemPacer};
use crate::config::find::{FindError, LoadedConfig};
use crate::config::{Repository, Secret};
use crate::crypto::SecretText;
use crate::ops::snapshots::SnapshotFilter;
use crate::repo::{Ahead, Edges, Repo, RepoError};
use crate::source::Roots;
use crate::store::{
    Counters, ErrorKind, Location, OpenOptions, Opened, Rates, RequestCounts, S3Settings, StaticCredentials,
};
use std::io::IsTerminal;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once, OnceLock};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

pub struct Context {
    pub global: Global,
    pub cancel: Cancel,
    pub observer: Arc<CliObserver>,
    counters: OnceLock<Arc<Counters>>,
    config: OnceLock<Result<Option<LoadedConfig>, FindError>>,
    is_unheeded_told: Once,
}

impl Context {
    pub fn new(global: Global) -> Result<Self, CliError> {
        let show_bar = std::io::stderr().is_terminal() && !global.quiet && !global.json;
        let observer = Arc::new(CliObserver::new(show_bar, global.quiet, global.verbose > 0));
        let cancel = Cancel::new();
        catch_signals(&cancel)?;
        let (counters, config) = (OnceLock::new(), OnceLock::new());
        Ok(Self { global, cancel, observer, counters, config, is_unheeded_told: Once::new() })
    }

    /// Begins to log: to standard error if that is wanted, and to `files`.
    pub fn start_log(&self, files: Option<Box<dyn Layer<Registry> + Send + Sync>>) {
        let level = match self.global.verbose {
            0 => tracing::level_filters::LevelFilter::OFF,
            1 => tracing::level_filters::LevelFilter::INFO,
            _ => tracing::level_filters::LevelFilter::DEBUG,
        };
        let filter = tracing_subscriber::filter::Targets::new().with_target("ssb", level);
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter);
        tracing_subscriber::registry().with(files).with(layer).try_init().ok();
    }

    /// The config file, if there is one; an error if nothing of it can be used. Read once.
    pub fn config(&self) -> Result<Option<&LoadedConfig>, CliError> {
        self.looked_up().as_ref().map(Option::as_ref).map_err(|error| CliError::usage(error.to_string()))
    }

    fn looked_up(&self) -> &Result<Option<LoadedConfig>, FindError> {
        self.config.get_or_init(|| {
            let loaded = settings::load(&self.global)?;
            match loaded.as_ref().and_then(LoadedConfig::refusal) {
                Some(refusal) => Err(refusal),
                None => Ok(loaded),
            }
        })
    }

    /// What the config says of the repository where neither an option nor the environment does. A config that is of no use
    /// is heeded only as far as it is needed: it may be another program's.
    fn otherwise<T>(&self, pick: impl FnOnce(&Repository) -> Option<T>) -> Result<Option<T>, CliError> {
        let is_named = settings::named(&self.global).is_some();
        let (location, passphrase) = (self.named_location(), password::is_named(&self.global));
        match self.looked_up() {
            Ok(found) => Ok(found.as_ref().and_then(|loaded| pick(&loaded.config.repository))),
            // The machine's may be for root alone.
            Err(error) if error.is_denied() && !is_named && location.is_some() => Ok(None),
            Err(_) if is_named || location.is_none() || !passphrase => self.config().map(|_| None),
            Err(error) => {
                self.is_unheeded_told
                    .call_once(|| output::warning(&format!("{error}; nothing of that file is heeded")));
                Ok(None)
            }
        }
    }

    /// The location that an option or the environment names.
    fn named_location(&self) -> Option<String> {
        let named = self.global.repo.clone().or_else(|| variable("SSB_REPOSITORY"));
        named.or_else(|| variable("S3_BUCKET").map(|bucket| format!("s3://{bucket}")))
    }

    pub fn location(&self) -> Result<Location, CliError> {
        let text = match self.named_location() {
            Some(text) => text,
            None => self.otherwise(|repository| repository.location.clone())?.ok_or_else(|| {
                CliError::usage(
                    "no repository was named; use --repo, or set SSB_REPOSITORY, or S3_BUCKET and S3_ENDPOINT, or write its \
                     location into a config file",
                )
            })?,
        };
        let mut location = Location::parse(&text)?;
        if let Location::S3(s3) = &mut location {
            let of_all_tools = |names: &[&str]| names.iter().find_map(|name| variable(name));
            s3.region = self.global.s3_region.clone().filter(|r| !r.is_empty());
            if s3.region.is_none() && of_all_tools(&["AWS_REGION", "AWS_DEFAULT_REGION"]).is_none() {
                s3.region = self.otherwise(|repository| repository.s3_region.clone())?;
            }
            let endpoint = self.global.s3_endpoint.clone().filter(|e| !e.is_empty());
            s3.endpoint = endpoint.or_else(|| of_all_tools(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
            if s3.endpoint.is_none() {
                s3.endpoint = self.otherwise(|repository| repository.s3_endpoint.clone())?;
            }
            s3.path_style = self.global.s3_path_style;
            if s3.path_style.is_none() {
                s3.path_style = self.otherwise(|repository| repository.s3_path_style)?;
            }
        }
        Ok(location)
    }

    /// The passphrase of the repository that is there.
    pub fn passphrase(&self) -> Result<SecretText, CliError> {
        password::existing(&self.global, || {
            self.secret("repository.password", |repository| repository.password.clone())
        })
    }

    /// The passphrase of the repository that is to be made.
    pub fn new_passphrase(&self) -> Result<SecretText, CliError> {
        password::new(&self.global, || self.secret("repository.password", |repository| repository.password.clone()))
    }

    /// A secret that the config names, as it is or found where it says.
    fn secret(
        &self,
        key: &str,
        pick: impl FnOnce(&Repository) -> Option<Secret>,
    ) -> Result<Option<SecretText>, CliError> {
        let secret = self.otherwise(pick)?;
        let resolved = secret.map(|secret| secret.resolve(key, &variable)).transpose();
        resolved.map_err(|error| CliError::usage(error.to_string()))
    }

    /// The credentials that the config gives, unless the environment gives some or names where they are.
    fn credentials(&self) -> Result<Option<StaticCredentials>, CliError> {
        let is_given = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"].into_iter().any(|name| variable(name).is_some());
        let of_config =
            |repository: &Repository| repository.access_key_id.clone().zip(repository.secret_access_key.clone());
        if is_given || self.otherwise(of_config)?.is_none() {
            return Ok(None);
        }
        let id = self.secret("repository.access-key-id", |repository| repository.access_key_id.clone())?;
        let key = self.secret("repository.secret-access-key", |repository| repository.secret_access_key.clone())?;
        Ok(id.zip(key).map(|(id, key)| StaticCredentials {
            access_key_id: id.expose().to_owned(),
            secret_access_key: key.expose().to_owned(),
            session_token: None,
        }))
    }

    pub fn open_store(&self, create: bool) -> Result<Arc<dyn crate::store::ObjectStore>, CliError> {
        let location = self.location()?;
        let options = self.open_options(create, &location)?;
        let Opened { store, counters } = crate::store::open(&location, &options).map_err(|error| match error.kind {
            ErrorKind::NoBucket if !create && matches!(location, Location::Directory(_)) => {
                CliError::from(RepoError::NoRepository { place: error.store })
            }
            _ => error.into(),
        })?;
        self.counters.set(counters).ok();
        Ok(store)
    }

    fn open_options(&self, create: bool, location: &Location) -> Result<OpenOptions, CliError> {
        let mut s3 = S3Settings { ca_file: variable("AWS_CA_BUNDLE").map(PathBuf::from), ..S3Settings::default() };
        if matches!(location, Location::S3(_)) {
            s3.credentials = self.credentials()?;
        }
        let of_config = |repository: &Repository| repository.request_timeout.map(|duration| duration.0);
        if let Some(timeout) = self.first(self.global.request_timeout, of_config)? {
            // Whoever knows the server knows it for the first request too.
            (s3.request_timeout, s3.first_answer_timeout) = (timeout, timeout);
        }
        let bytes = |kibibytes: u64| kibibytes.saturating_mul(1024);
        let upload = self.first(self.global.limit_upload, |repository| repository.limit_upload.map(bytes))?;
        let download = self.first(self.global.limit_download, |repository| repository.limit_download.map(bytes))?;
        let rate = |bytes_per_s: Option<u64>| bytes_per_s.and_then(NonZeroU64::new);
        let rates = Rates { upload: rate(upload), download: rate(download) };
        let mut options = OpenOptions { create, rates, s3, cancel: self.cancel.clone(), ..OpenOptions::default() };
        let connections = self.first(self.global.connections, |repository| repository.connections)?;
        options.connections = connections.unwrap_or(options.connections);
        Ok(options)
    }

    /// What an option or the environment says, or else the config.
    fn first<T>(&self, said: Option<T>, pick: impl FnOnce(&Repository) -> Option<T>) -> Result<Option<T>, CliError> {
        if said.is_some() { Ok(said) } else { self.otherwise(pick) }
    }

    /// The repository, unlocked.
    pub fn open_repo(&self, ahead: Ahead) -> Result<Arc<Repo>, CliError> {
        let edges = self.edges()?;
        let found = Repo::find(self.open_store(false)?, edges.cache_root.as_deref(), ahead)?;
        let passphrase = self.passphrase()?;
        Ok(Arc::new(found.unlock(&passphrase, edges)?))
    }

    /// The requests that were made so far.
    pub fn requests(&self) -> RequestCounts {
        self.counters.get().map(|counters| counters.snapshot()).unwrap_or_default()
    }

    pub fn edges(&self) -> Result<Edges, CliError> {
        let of_config = |repository: &Repository| repository.cache_dir.clone();
        let cache_root = match self.global.no_cache {
            true => None,
            false => self.first(self.global.cache_dir.clone(), of_config)?.or_else(usual_cache_root),
        };
        Ok(Edges {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            pacer: Arc::new(SystemPacer::new(self.cancel.clone())),
            host: host(),
            user: user(),
            cache_root,
            observer: self.observer.clone(),
        })
    }

    pub fn filter(&self, args: &super::args::FilterArgs) -> Result<SnapshotFilter, CliError> {
        let base = working_directory()?;
        let paths = args.path.iter().flat_map(|path| Roots::new(std::slice::from_ref(path), &base).paths());
        Ok(SnapshotFilter {
            hosts: args.host.clone(),
            tags: args.tag.iter().map(|set| tags(set)).collect(),
            paths: paths.map(|path| crate::base::text::escape(&path)).collect(),
            entries: args.entry.clone(),
            label: None,
            policy: None,
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

fn usual_cache_root() -> Option<PathBuf> {
    let folder = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(variable("HOME")?).join(".cache"));
    Some(folder.or_else(home)?.join("ssb"))
}

pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub fn user() -> String {
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
