//! A service that runs what is due and a timer that starts it.

use super::{Call, Every, InstallError, NewFile};
use std::path::{Path, PathBuf};

/// What fits into the name of a file, with room for what systemd puts beside it.
const MAX_NAME_BYTES: usize = 200;

/// Whose manager the units are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    System,
    User,
}

/// The names of the units of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitNames {
    stem: String,
}

impl UnitNames {
    /// A name that was chosen, or one made of the config's path.
    pub fn new(chosen: Option<&str>, config: &str) -> Result<Self, InstallError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = chosen.map_or_else(
            || {
                let without_kind = Path::new(config).with_extension("");
                let path = without_kind.to_string_lossy().trim_matches('/').to_owned();
                path.chars().map(|c| if is_plain(c) { c } else { '-' }).collect()
            },
            str::to_owned,
        );
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_plain) {
            return Err(InstallError::Name { name, limit: MAX_NAME_BYTES });
        }
        Ok(Self { stem: format!("ssb-{name}") })
    }

    pub fn service(&self) -> String {
        format!("{}.service", self.stem)
    }

    pub fn timer(&self) -> String {
        format!("{}.timer", self.stem)
    }

    pub fn paths(&self, folder: &Path) -> [PathBuf; 2] {
        [folder.join(self.service()), folder.join(self.timer())]
    }
}

/// The first line of both units, by which they are known again.
pub fn mark(config: &str) -> String {
    format!("# ssb runs {config} by these units ('ssb schedule install' has written them)")
}

/// Whether this is the text of a unit that was installed for the config.
pub fn is_of(text: &[u8], config: &str) -> bool {
    text.split(|byte| *byte == b'\n').next() == Some(mark(config).as_bytes())
}

/// The service and the timer.
pub fn units(
    call: &Call,
    every: Every,
    manager: Manager,
    names: &UnitNames,
    folder: &Path,
) -> Result<[NewFile; 2], InstallError> {
    let [service_path, timer_path] = names.paths(folder);
    Ok([
        NewFile { path: service_path, text: service(call, manager)? },
        NewFile { path: timer_path, text: timer(call, every) },
    ])
}

/// No sandbox: a backup has to read everything, its hooks may mount and write wherever they like, and its commands may
/// change the user (`sudo -u postgres pg_dump`).
fn service(call: &Call, manager: Manager) -> Result<String, InstallError> {
    let Call { program, config, folder } = call;
    let mut lines = vec![mark(config), "[Unit]".to_owned(), description("Backups that are due by", config)];
    if manager == Manager::System {
        lines.push("Wants=network-online.target".to_owned());
        lines.push("After=network-online.target".to_owned());
    }
    lines.extend(["", "[Service]", "Type=oneshot"].map(str::to_owned));
    let argument = quote(config).replace('$', "$$");
    lines.push(format!("ExecStart={} run --due --quiet --config {argument}", quote(program)));
    if let Some(folder) = folder {
        // Taken as it stands, but for what systemd cuts off or joins with the next line.
        if folder.ends_with(|c: char| c.is_whitespace() || c == '\\') {
            return Err(InstallError::Path { path: folder.clone(), into: "a unit" });
        }
        lines.push(format!("WorkingDirectory={}", folder.replace('%', "%%")));
    }
    lines.extend(
        [
            "# What takes long takes long; ssb has limits of its own for entries and hooks.",
            "TimeoutStartSec=infinity",
            "# On a stop ssb ends its commands itself and leaves the repository in order.",
            "KillMode=mixed",
            "TimeoutStopSec=2min",
            "Nice=10",
            "IOSchedulingClass=best-effort",
            "IOSchedulingPriority=7",
            "# Rather this than what it backs up, if memory runs out.",
            "OOMScoreAdjust=200",
        ]
        .map(str::to_owned),
    );
    if manager == Manager::System {
        // In a user's manager these would also keep commands from changing the user.
        lines.extend(["LockPersonality=yes", "RestrictRealtime=yes"].map(str::to_owned));
    }
    Ok(lines.join("\n") + "\n")
}

fn timer(call: &Call, every: Every) -> String {
    let lines = [
        mark(&call.config),
        "[Unit]".to_owned(),
        description("Looks every now and then for backups that are due by", &call.config),
        String::new(),
        "[Timer]".to_owned(),
        format!("OnCalendar={}", every.on_calendar()),
        "# What was missed while the machine was off is done when it is on again.".to_owned(),
        "Persistent=true".to_owned(),
        "# Not all machines at once.".to_owned(),
        "RandomizedDelaySec=15s".to_owned(),
        "AccuracySec=15s".to_owned(),
        String::new(),
        "[Install]".to_owned(),
        "WantedBy=timers.target".to_owned(),
    ];
    lines.join("\n") + "\n"
}

fn description(what: &str, config: &str) -> String {
    format!("Description={what} {} (ssb)", config.replace('\\', "/").replace('%', "%%"))
}

/// A word of a command line.
fn quote(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(config: &str, folder: Option<&str>) -> Call {
        Call::new(Path::new("/opt/my ssb/100%"), Path::new(config), folder.map(Path::new)).unwrap()
    }

    fn texts(call: &Call, manager: Manager) -> [String; 2] {
        let names = UnitNames::new(None, call.config()).unwrap();
        units(call, Every::default(), manager, &names, Path::new("/u")).unwrap().map(|unit| unit.text)
    }

    #[test]
    fn names_come_from_the_config() {
        let names = |chosen, config| UnitNames::new(chosen, config);
        let name = names(None, "/etc/ssb/config.toml").unwrap();
        assert_eq!(
            (name.service(), name.timer()),
            ("ssb-etc-ssb-config.service".into(), "ssb-etc-ssb-config.timer".into())
        );
        assert_eq!(names(None, "/home/jö/my config.json").unwrap().timer(), "ssb-home-j--my-config.timer");
        assert_eq!(names(Some("web"), "/x").unwrap().timer(), "ssb-web.timer");
        let long = format!("/{}", "x".repeat(201));
        for (chosen, config) in [(Some(""), "/x"), (Some("a/b"), "/x"), (Some("ü"), "/x"), (None, "/"), (None, &long)]
        {
            assert!(names(chosen, config).unwrap_err().to_string().contains("letters"), "{chosen:?} {config}");
        }
    }

    #[test]
    fn units_are_known_again() {
        let [service, timer] = texts(&call("/etc/ssb/config.toml", None), Manager::System);
        for text in [&service, &timer] {
            assert!(is_of(text.as_bytes(), "/etc/ssb/config.toml"), "{text}");
            assert!(!is_of(text.as_bytes(), "/etc/ssb/config.tom") && !is_of(b"", "/etc/ssb/config.toml"));
        }
        assert!(timer.contains("\nOnCalendar=*-*-* *:0/5:00\n") && timer.contains("\nPersistent=true\n"), "{timer}");
        assert!(!service.contains("WorkingDirectory"), "{service}");
    }

    #[test]
    fn paths_are_written_as_systemd_reads_them() {
        let [service, _] = texts(&call("/a b/$x\"y%\\z.toml", Some("/srv/50% off")), Manager::User);
        let line = r#"ExecStart="/opt/my ssb/100%%" run --due --quiet --config "/a b/$$x\"y%%\\z.toml""#;
        assert!(service.contains(&format!("\n{line}\n")), "{service}");
        assert!(service.contains("\nWorkingDirectory=/srv/50%% off\n"), "{service}");
        assert!(!service.contains("network-online") && !service.contains("LockPersonality"), "{service}");
        let names = UnitNames::new(Some("x"), "/x").unwrap();
        for folder in ["/srv/a ", "/srv/a\\"] {
            let call = call("/x", Some(folder));
            let found = units(&call, Every::default(), Manager::User, &names, Path::new("/u"));
            assert!(found.unwrap_err().to_string().contains(&folder.escape_debug().to_string()));
        }
    }
}
