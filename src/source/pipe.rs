//! Input that an interrupt ends, also while nothing comes: whoever interrupts a backup of a program's output need not end
//! the program first. Does not buffer.

use crate::base::Cancel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

/// How long it waits for input before it looks at the flag again: too short to be noticed, too long to cost anything.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Bytes from a descriptor until it ends or the flag is raised, which is an error.
pub struct Input<F> {
    from: F,
    cancel: Cancel,
}

impl<F: AsFd> Input<F> {
    pub fn new(from: F, cancel: Cancel) -> Self {
        Self { from, cancel }
    }
}

impl Input<OwnedFd> {
    /// Standard input. Nobody else may read from it: what others have buffered is lost to this.
    pub fn standard(cancel: Cancel) -> io::Result<Self> {
        Ok(Self { from: io::stdin().as_fd().try_clone_to_owned()?, cancel })
    }
}

impl<F: AsFd> Read for Input<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.cancel.is_cancelled() {
                // Not of the kind `Interrupted`, which asks to try again.
                return Err(io::Error::other("interrupted"));
            }
            let mut polled = [PollFd::new(&self.from, PollFlags::IN)];
            match poll(&mut polled, Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            // The end of the input and its errors show in reading.
            match rustix::io::read(&self.from, &mut *buffer) {
                Ok(read) => return Ok(read),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    #[test]
    fn gives_what_comes_until_the_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut input = Input { from: reader, cancel: Cancel::new() };
        let writing = std::thread::spawn(move || {
            for part in ["first ", "", "second"] {
                writer.write_all(part.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut all = String::new();
        input.read_to_string(&mut all).unwrap();
        writing.join().unwrap();
        assert_eq!(all, "first second");
        assert_eq!(input.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn files_can_be_read_too() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100_000).unwrap();
        let mut all = Vec::new();
        Input { from: file, cancel: Cancel::new() }.read_to_end(&mut all).unwrap();
        assert_eq!(all, vec![0; 100_000]);
    }

    #[test]
    fn an_interrupt_ends_it_while_nothing_comes() {
        let (reader, writer) = io::pipe().unwrap();
        let cancel = Cancel::new();
        let mut input = Input { from: reader, cancel: cancel.clone() };
        let reading = std::thread::spawn(move || input.read(&mut [0; 10]));
        std::thread::sleep(Duration::from_millis(50));
        cancel.cancel();
        let error = reading.join().unwrap().unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::Interrupted);
        drop(writer);
    }
}
