//! Runs the commands that stand around a job or a run. What they find in their environment is made elsewhere.

use super::plan::words;
use super::watch::within;
use crate::base::{Cancel, Pacer};
use crate::config::{Command, Hooks};
use crate::report::HookFailure;
use crate::source::{Told, run_command};
use std::time::Duration;

/// How long a hook may take, unless it is set.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// Around one job or one run.
pub(super) struct HookRunner<'a> {
    pub hooks: &'a Hooks,
    pub pacer: &'a dyn Pacer,
    pub cancel: &'a Cancel,
    pub failures: Vec<HookFailure>,
}

impl<'a> HookRunner<'a> {
    pub fn new(hooks: &'a Hooks, pacer: &'a dyn Pacer, cancel: &'a Cancel) -> Self {
        Self { hooks, pacer, cancel, failures: Vec::new() }
    }

    /// Whether it went well, or there is none.
    pub fn run(&mut self, hook: &str, facts: &[(String, String)]) -> bool {
        let hooks = self.hooks;
        let command = match hook {
            "before" => &hooks.before,
            "after" => &hooks.after,
            "on-success" => &hooks.on_success,
            "on-failure" => &hooks.on_failure,
            _ => &hooks.finally,
        };
        let Some(error) = command.as_ref().and_then(|command| self.failure(command, hook, facts)) else { return true };
        self.failures.push(HookFailure { hook: hook.to_owned(), error });
        false
    }

    fn failure(&self, command: &Command, hook: &str, facts: &[(String, String)]) -> Option<String> {
        let limit = self.hooks.timeout.map_or(TIMEOUT, |timeout| timeout.0);
        let variables: Vec<(String, String)> =
            facts.iter().cloned().chain([("SSB_HOOK".to_owned(), hook.to_owned())]).collect();
        let told = Told::default();
        // What has to be put in order again is also when the run was interrupted.
        let never = Cancel::new();
        let cancel = if hook == "before" { self.cancel } else { &never };
        let run = |own: &Cancel| run_command(&words(command), &variables, &told, own);
        let (result, is_late) = within(Some(limit), self.pacer, cancel, run);
        let error = match result {
            Ok(()) => return None,
            Err(_) if is_late => format!("it took longer than {}", crate::base::duration::short(limit)),
            Err(error) => error.to_string(),
        };
        let said = told.text();
        Some(if said.is_empty() { error } else { format!("{error}: {said}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemPacer;
    use crate::config;

    #[test]
    fn hooks_see_facts_fail_and_are_ended() {
        let shell = |line: &str| Some(Command::Shell(line.to_owned()));
        let hooks = Hooks {
            before: shell("test \"$SSB_JOB-$SSB_HOOK\" = db-before"),
            after: shell("echo 'no room' >&2; exit 4"),
            finally: shell("sleep 60"),
            timeout: Some(config::Duration(Duration::from_millis(200))),
            ..Hooks::default()
        };
        let cancel = Cancel::new();
        let pacer = SystemPacer::new(cancel.clone());
        let mut runner = HookRunner::new(&hooks, &pacer, &cancel);
        let facts = [("SSB_JOB".to_owned(), "db".to_owned())];
        assert!(runner.run("before", &facts) && runner.run("on-success", &facts));
        assert!(!runner.run("after", &facts) && !runner.run("finally", &facts));
        let told: Vec<_> = runner.failures.iter().map(|f| (f.hook.as_str(), f.error.as_str())).collect();
        assert_eq!(told[0], ("after", "the command ended with exit status: 4: no room"));
        assert_eq!(told[1].0, "finally");
        assert!(told[1].1.contains("longer than 200ms"), "{told:?}");
    }
}
