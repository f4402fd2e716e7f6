//! What is remembered of a file besides its content.

use rustix::fs::{FileType, Stat};

/// What an entry is. The numbers are those of the stored format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    File = 1,
    Directory = 2,
    Symlink = 3,
    Fifo = 4,
    CharDevice = 5,
    BlockDevice = 6,
    Socket = 7,
}

impl Kind {
    pub fn from_number(number: u8) -> Option<Self> {
        use Kind::*;
        [File, Directory, Symlink, Fifo, CharDevice, BlockDevice, Socket].into_iter().find(|&k| k as u8 == number)
    }

    /// The word for it in JSON and listings.
    pub fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Directory => "dir",
            Kind::Symlink => "symlink",
            Kind::Fifo => "fifo",
            Kind::CharDevice => "chardev",
            Kind::BlockDevice => "blockdev",
            Kind::Socket => "socket",
        }
    }

    /// The letter that `ls -l` puts first.
    pub fn letter(self) -> char {
        match self {
            Kind::File => '-',
            Kind::Directory => 'd',
            Kind::Symlink => 'l',
            Kind::Fifo => 'p',
            Kind::CharDevice => 'c',
            Kind::BlockDevice => 'b',
            Kind::Socket => 's',
        }
    }
}

/// Seconds since 1970, which may be negative, and nanoseconds upwards from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileTime {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// The metadata of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub kind: Kind,
    /// The twelve permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: FileTime,
    pub ctime: FileTime,
    pub inode: u64,
    /// Content bytes of a file; 0 for all else.
    pub size: u64,
    /// True if the file takes less room than its size, so that restoring it should make holes.
    pub sparse: bool,
    /// Device number of a device node; 0 for all else.
    pub rdev: u64,
    /// Where a symlink points; empty for all else.
    pub target: Vec<u8>,
}

impl Metadata {
    /// Of a symlink the target is left empty: it takes a call of its own.
    pub fn from_stat(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Socket => Kind::Socket,
            _ => Kind::File,
        };
        let size = if kind == Kind::File { stat.st_size as u64 } else { 0 };
        let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: FileTime { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 },
            ctime: FileTime { seconds: stat.st_ctime, nanoseconds: stat.st_ctime_nsec as u32 },
            inode: stat.st_ino,
            size,
            sparse: (stat.st_blocks as u64).saturating_mul(512) < size,
            rdev: if is_device { device_number(stat.st_rdev) } else { 0 },
            target: Vec::new(),
        }
    }

    /// Whether a file with this metadata can be taken to have the content that it had with `before`'s: same size,
    /// times and inode. The change time catches what sets the modification time back.
    pub fn same_content_as(&self, before: &Metadata) -> bool {
        self.kind == before.kind
            && self.size == before.size
            && self.mtime == before.mtime
            && self.ctime == before.ctime
            && self.inode == before.inode
    }
}

/// Device numbers have another type on every system.
pub(super) fn device_number(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or_default()
}
