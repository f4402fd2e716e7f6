//! Reading one file from front to back; holes are filled with zeros without being read from the disk.

use super::{Kind, Metadata};
use rustix::fs::{CWD, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A regular file that is being read.
pub struct FileReader {
    file: File,
    metadata: Metadata,
    position: u64,
    /// Up to where the file has data, without a hole, from `position`; 0 = not known yet.
    data_end: u64,
}

impl FileReader {
    /// Opens `path` without following a symlink. `Ok(None)` if it is not a regular file any more.
    pub fn open(path: &[u8]) -> io::Result<Option<Self>> {
        // NONBLOCK: what has become a fifo since it was listed must not hold the backup up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let handle = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::LOOP) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let metadata = Metadata::from_stat(&rustix::fs::fstat(&handle)?);
        if metadata.kind != Kind::File {
            return Ok(None);
        }
        Ok(Some(Self { file: File::from(handle), metadata, position: 0, data_end: 0 }))
    }

    /// As it was when the file was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Fills `buffer` from the current position on; less than its length only at the end of the file.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let step = match self.hole_bytes()? {
                0 if self.metadata.sparse => {
                    let room = (self.data_end - self.position).min(rest.len() as u64) as usize;
                    self.read_data(&mut rest[..room])?
                }
                0 => self.read_data(rest)?,
                hole => {
                    let zeros = hole.min(rest.len() as u64) as usize;
                    rest[..zeros].fill(0);
                    zeros
                }
            };
            if step == 0 {
                break;
            }
            self.position += step as u64;
            filled += step;
        }
        Ok(filled)
    }

    fn read_data(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, self.position) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// How many bytes of hole begin at the current position; 0 in data, at the end, and in files without holes.
    fn hole_bytes(&mut self) -> io::Result<u64> {
        if !self.metadata.sparse || self.position < self.data_end {
            return Ok(0);
        }
        let size = self.file.metadata()?.len();
        let data = match rustix::fs::seek(&self.file, SeekFrom::Data(self.position)) {
            Ok(data) => data.min(size),
            Err(Errno::NXIO) => size,
            // A file system without holes says so; from here on all is data.
            Err(_) => {
                self.metadata.sparse = false;
                return Ok(0);
            }
        };
        if data > self.position {
            return Ok(data - self.position);
        }
        self.data_end = rustix::fs::seek(&self.file, SeekFrom::Hole(self.position)).unwrap_or(size).min(size);
        self.data_end = self.data_end.max(self.position);
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn read_all(path: &std::path::Path, step: usize) -> Vec<u8> {
        let mut reader = FileReader::open(path.as_os_str().as_bytes()).unwrap().unwrap();
        let (mut all, mut buffer) = (Vec::new(), vec![0xee; step]);
        loop {
            let n = reader.read(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..n]);
            if n < step {
                return all;
            }
        }
    }

    #[test]
    fn holes_read_as_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("holes");
        let file = File::create(&path).unwrap();
        file.set_len(3 << 20).unwrap();
        file.write_all_at(&[7; 5000], 1 << 20).unwrap();
        file.write_all_at(&[8; 10], 2 << 20).unwrap();
        let want = std::fs::read(&path).unwrap();
        for step in [1000, 1 << 16, 5 << 20] {
            assert!(read_all(&path, step) == want, "step {step}");
        }
        file.set_len(0).unwrap();
        assert!(read_all(&path, 10).is_empty());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_blocking() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::fs::symlink("fifo", dir.path().join("link")).unwrap();
        for path in [fifo, dir.path().join("link"), dir.path().to_path_buf()] {
            assert!(FileReader::open(path.as_os_str().as_bytes()).unwrap().is_none());
        }
    }
}
