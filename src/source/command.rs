//! What a command prints, as a source: its output ends well only if the command does. Also runs commands for their effect.
//! A command that takes too long, or whose run is interrupted, is ended with all that it has started.

use super::pipe::Input;
use crate::base::Cancel;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How much of the end of what it told on standard error is kept.
const STDERR_BYTES: usize = 16 << 10;
/// How often a command that prints nothing is looked after.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is looked whether a command that has ended, or was asked to, is done.
const LAST_LOOKS: usize = 100;

/// The end of a command's standard error, which whoever started it may look at when it has ended.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<VecDeque<u8>>>);

impl Told {
    pub fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.iter().copied().collect::<Vec<u8>>()).trim().to_owned()
    }

    fn listen(&self, mut stderr: ChildStderr) {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut buffer) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&buffer[..read]);
            let surplus = kept.len().saturating_sub(STDERR_BYTES);
            kept.drain(..surplus);
        }
    }
}

/// A command that is running, the first of a process group of its own.
struct Running {
    child: Child,
    listener: Option<JoinHandle<()>>,
}

impl Running {
    fn start(words: &[String], variables: &[(String, String)], stdout: Stdio, told: &Told) -> io::Result<Self> {
        let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("it has no words"))?;
        let mut command = Command::new(program);
        command.args(arguments).envs(variables.iter().cloned()).stdin(Stdio::null()).stdout(stdout);
        let mut child = command.stderr(Stdio::piped()).process_group(0).spawn()?;
        let (stderr, told) = (child.stderr.take(), told.clone());
        let listener = stderr.map(|stderr| thread::spawn(move || told.listen(stderr)));
        Ok(Self { child, listener })
    }

    fn wait(&mut self, cancel: &Cancel) -> io::Result<ExitStatus> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if cancel.is_cancelled() {
                return Err(io::Error::other("interrupted"));
            }
            thread::sleep(LOOK);
        };
        // All that it told, but what it leaves behind may hold standard error open for ever.
        for _ in 0..LAST_LOOKS {
            if self.listener.as_ref().is_none_or(JoinHandle::is_finished) {
                break;
            }
            thread::sleep(LOOK);
        }
        Ok(status)
    }
}

impl Drop for Running {
    /// Ends what is still at work.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process_group(group, Signal::TERM).ok();
            for _ in 0..LAST_LOOKS {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    break;
                }
                thread::sleep(LOOK);
            }
            kill_process_group(group, Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}

/// A command's standard output. Its end is an error if the command ends with anything but 0.
pub struct CommandOutput {
    running: Running,
    stdout: Input<ChildStdout>,
    cancel: Cancel,
}

impl CommandOutput {
    /// Starts the program `words[0]`, with these variables added to its environment.
    pub fn start(words: &[String], variables: &[(String, String)], told: &Told, cancel: Cancel) -> io::Result<Self> {
        let mut running = Running::start(words, variables, Stdio::piped(), told)?;
        let stdout = running.child.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
        Ok(Self { running, stdout: Input::new(stdout, cancel.clone()), cancel })
    }
}

impl Read for CommandOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stdout.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            well_ended(self.running.wait(&self.cancel)?)?;
        }
        Ok(read)
    }
}

/// Runs a command to its end; what it prints is passed over.
pub fn run(words: &[String], variables: &[(String, String)], told: &Told, cancel: &Cancel) -> io::Result<()> {
    well_ended(Running::start(words, variables, Stdio::null(), told)?.wait(cancel)?)
}

fn well_ended(status: ExitStatus) -> io::Result<()> {
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the command ended with {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Vec<String> {
        ["/bin/sh", "-c", line].map(str::to_owned).to_vec()
    }

    fn read(line: &str, cancel: &Cancel) -> (io::Result<Vec<u8>>, String) {
        let told = Told::default();
        let variables = [("SSB_WORD".to_owned(), "a 'word'".to_owned())];
        let mut output = CommandOutput::start(&shell(line), &variables, &told, cancel.clone()).unwrap();
        let mut all = Vec::new();
        let ended = output.read_to_end(&mut all).map(|_| all);
        drop(output);
        (ended, told.text())
    }

    #[test]
    fn the_output_of_a_command_that_ends_well() {
        let (output, told) = read("echo remark >&2; echo \"$SSB_WORD\"; head -c 300000 /dev/zero", &Cancel::new());
        let output = output.unwrap();
        assert!(output.starts_with(b"a 'word'\n\0") && output.len() == 300_009);
        assert_eq!(told, "remark");
    }

    #[test]
    fn a_command_that_fails_has_no_end() {
        for (line, status) in [("echo half; echo why >&2; exit 3", "exit status: 3"), ("kill -9 $$", "signal: 9")] {
            let (output, _) = read(line, &Cancel::new());
            assert!(output.unwrap_err().to_string().contains(status), "{line}");
        }
        let words = ["/no/such/program".to_owned()];
        assert!(CommandOutput::start(&words, &[], &Told::default(), Cancel::new()).is_err());
        assert!(run(&[], &[], &Told::default(), &Cancel::new()).is_err());
    }

    #[test]
    fn only_the_end_of_long_complaints_is_kept() {
        let told = Told::default();
        run(&shell("head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2"), &[], &told, &Cancel::new()).unwrap();
        while !told.text().ends_with("end") {
            thread::sleep(LOOK);
        }
        assert!(told.text().len() <= STDERR_BYTES);
    }

    #[test]
    fn who_is_interrupted_ends_all_that_the_command_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let line = format!("trap '' TERM; (sleep 3; touch {}) & wait; sleep 60", mark.display());
        let cancel = Cancel::new();
        let ending = cancel.clone();
        let soon = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            ending.cancel();
        });
        let ended = run(&shell(&line), &[], &Told::default(), &cancel);
        assert!(ended.unwrap_err().to_string().contains("interrupted"));
        soon.join().unwrap();
        thread::sleep(Duration::from_millis(2000));
        assert!(!mark.exists());
    }
}
