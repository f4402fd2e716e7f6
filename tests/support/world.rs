//! A folder of files that lives: made by chance, then changed by chance.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::chance::Chance;

/// Around the sizes at which something begins to be done in another way, for chunks of 256, 1024 and 4096 bytes.
const SIZES: [usize; 14] = [0, 1, 100, 255, 256, 257, 1023, 1024, 4095, 4096, 4097, 20_000, 150_000, 3_000_000];

pub struct World {
    pub top: PathBuf,
    pub chance: Chance,
    made: usize,
}

impl World {
    pub fn new(top: &Path, seed: u64) -> Self {
        fs::create_dir_all(top).unwrap();
        Self { top: top.to_owned(), chance: Chance::new(seed), made: 0 }
    }

    /// One of everything, and of every size.
    pub fn fill(&mut self) {
        for directory in ["a", "a/b", "a/b/c", "a-b", "a.b", "empty", "z"] {
            fs::create_dir(self.top.join(directory)).unwrap();
        }
        for size in SIZES {
            let bytes = self.content(size);
            let path = self.new_path();
            fs::write(path, bytes).unwrap();
        }
        // Larger than what is read at once, and of many windows.
        fs::write(self.top.join("large"), self.chance.bytes((17 << 20) + 333)).unwrap();
        fs::write(self.top.join("z/repeats"), b"the same again. ".repeat(600_000)).unwrap();
        fs::write(self.top.join("z").join(OsStr::from_bytes(b"n\xf6t \x01 utf-8\\x41\n")), "odd name").unwrap();
        fs::write(self.top.join("z/x".to_owned() + &"y".repeat(250)), "long name").unwrap();
        symlink("nowhere/at all", self.top.join("dangling")).unwrap();
        symlink("a", self.top.join("z/link")).unwrap();
        self.sparse();
        self.metadata();
    }

    /// Holes at the front, in the middle and at the end; small and large.
    fn sparse(&mut self) {
        for (name, len) in [("sparse-small", 1 << 20), ("a/sparse-large", 40 << 20), ("z/hole", 9 << 20)] {
            let file = File::create(self.top.join(name)).unwrap();
            file.set_len(len).unwrap();
            if name != "z/hole" {
                file.write_all_at(&self.chance.bytes(70_000), len / 2 + 5).unwrap();
                file.write_all_at(b"x", len / 4).unwrap();
            }
        }
    }

    fn metadata(&mut self) {
        let is_root = rustix::process::geteuid().is_root();
        for (name, mode) in [("mode-0000", 0o000), ("mode-0444", 0o444), ("mode-7777", 0o7777), ("mode-0101", 0o101)] {
            // Only root can read a file that its owner may not.
            let mode = if is_root { mode } else { mode | 0o400 };
            let path = self.top.join(name);
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(self.top.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::set_permissions(self.top.join("a/b"), fs::Permissions::from_mode(0o700)).unwrap();
        if is_root {
            rustix::fs::chown(
                self.top.join("a"),
                Some(rustix::fs::Uid::from_raw(1234)),
                Some(rustix::fs::Gid::from_raw(4321)),
            )
            .unwrap();
            fs::set_permissions(self.top.join("a/b/c"), fs::Permissions::from_mode(0o000)).unwrap();
        }
        for (name, seconds, nanos) in [
            ("mode-0444", -1, 999_999_999),
            ("dangling", -5_000_000, 1),
            ("a-b", 1, 0),
            ("large", 4_000_000_000, 123_456_789),
            ("a", 0, 0),
        ] {
            let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
            let times = Timestamps { last_access: time, last_modification: time };
            rustix::fs::utimensat(CWD, self.top.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
    }

    /// Half noise, half what compresses and repeats.
    fn content(&mut self, size: usize) -> Vec<u8> {
        let noise = self.chance.bytes(size / 2);
        let mut bytes = b"0123456789abcdef".repeat(size / 16 + 1);
        bytes.truncate(size - noise.len());
        bytes.extend(noise);
        bytes
    }

    fn new_path(&mut self) -> PathBuf {
        self.made += 1;
        let folders = ["", "a", "a/b", "a-b", "z"];
        let folder = folders[self.chance.below(folders.len())];
        self.top.join(folder).join(format!("file {}", self.made))
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut waiting = vec![self.top.clone()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap() {
                    kind if kind.is_dir() => waiting.push(entry.path()),
                    kind if kind.is_file() => files.push(entry.path()),
                    _ => {}
                }
            }
        }
        files.sort();
        files
    }

    /// Adds, overwrites, appends, cuts short, deletes, renames, touches: one of these to one file.
    pub fn change(&mut self) {
        let files = self.files();
        let size = SIZES[self.chance.below(SIZES.len() - 1)];
        if files.is_empty() {
            return fs::write(self.new_path(), "first").unwrap();
        }
        let file = files[self.chance.below(files.len())].clone();
        match self.chance.below(8) {
            0 | 1 => {
                let bytes = self.content(size);
                fs::write(self.new_path(), bytes).unwrap();
            }
            2 => {
                let open = OpenOptions::new().write(true).open(&file).unwrap();
                let at = self.chance.below(open.metadata().unwrap().len() as usize + 1);
                open.write_all_at(&self.chance.bytes(50), at as u64).unwrap();
            }
            3 => OpenOptions::new().append(true).open(&file).unwrap().write_all(&self.chance.bytes(size)).unwrap(),
            4 => {
                let open = OpenOptions::new().write(true).open(&file).unwrap();
                open.set_len(open.metadata().unwrap().len() / 2).unwrap();
            }
            5 => fs::remove_file(&file).unwrap(),
            6 => fs::rename(&file, self.new_path()).unwrap(),
            _ => {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600 | self.chance.below(0o100) as u32)).unwrap()
            }
        }
    }
}
