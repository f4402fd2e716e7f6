//! Writes the first inputs of every target into the folder that is named: real objects, made by the library in a repository in
//! memory by two backups, a forget and a prune, taken apart; and texts as people write them. Built as the targets are, so
//! that nothing is compiled twice.

use libfuzzer_sys as _;
use ssb::base::{Cancel, ChunkId};
use ssb::index::record::{encode_location, encode_pack};
use ssb::index::{Location, PackListing};
use ssb::ops::forget::{self, Which};
use ssb::ops::prune::{self, PruneOptions, Wait};
use ssb::repo::envelope::{self, ObjectKind};
use ssb::repo::pack::{encode_footer, open_packed, read_pack, unpack};
use ssb::repo::tree::node::{Child, LeafWriter, encode_inner};
use ssb::repo::tree::{Content, Entry};
use ssb::repo::{ChunkKind, Manifest, Repo, Session, Slot, SlotMaker, config::StoredConfig, layout};
use ssb::source::{FileTime, Kind, Metadata};
use ssb::store::{MemoryStore, ObjectStore, list_all};
use ssb_fuzz::{Chance, KDF, KINDS, Standstill, back_up, keys, manifest, passphrase, repository};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Longer inputs make every run slow.
const MOST_BYTES: usize = 32 << 10;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).ok_or("usage: seed FOLDER")?;
    let corpus = Corpus(folder.into());
    let (store, repo) = repository();
    let sources = tempfile::tempdir()?;
    let mut seen = BTreeSet::new();
    write_sources(sources.path())?;
    let first = back_up(&repo, sources.path())?.snapshot.ok_or("there is no snapshot")?.id.to_string();
    let session = Session::open(&repo, "backup")?;
    corpus.objects(&store, &mut seen)?;
    session.close()?;
    fs::write(sources.path().join("notes"), "quite another text")?;
    back_up(&repo, sources.path())?;
    let plan = forget::plan(&repo, Which::Ids(vec![first], Box::default()))?;
    forget::execute(&repo, &plan)?;
    let fence_after = jiff::SignedDuration::from_hours(1);
    prune::run(
        &repo,
        PruneOptions { max_unused_percent: 0.0, fence_after, wait: Wait::No, dry_run: false },
        &Cancel::new(),
    )?;
    corpus.objects(&store, &mut seen)?;
    corpus.nodes()?;
    corpus.forged()?;
    corpus.lies()?;
    corpus.slots(&repo)?;
    corpus.texts()
}

fn write_sources(folder: &Path) -> Result<()> {
    let noise = |length: usize| {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    };
    fs::create_dir_all(folder.join("a/b"))?;
    fs::write(folder.join("empty"), "")?;
    fs::write(folder.join("notes"), "a line of text\n".repeat(40))?;
    fs::write(folder.join("a/noise"), noise(700))?;
    fs::write(folder.join("a/b/odd \u{fc} \n name"), "odd")?;
    // Of so many chunks that their ids are kept in a list.
    fs::write(folder.join("a/b/long"), noise(50_000))?;
    Ok(symlink("../notes", folder.join("a/link"))?)
}

/// A folder per target.
struct Corpus(PathBuf);

impl Corpus {
    fn put(&self, target: &str, input: &[u8]) -> Result<()> {
        if input.len() <= MOST_BYTES {
            let folder = self.0.join(target);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(blake3::hash(input).to_hex().as_str()), input)?;
        }
        Ok(())
    }

    /// With all that can be done with it.
    fn repository(&self, how: u8, bytes: &[u8]) -> Result<()> {
        (0..7).try_for_each(|what| self.put("repository", &[&[how, what], bytes].concat()))
    }

    /// Every object that was not seen yet, and what is in it.
    fn objects(&self, store: &MemoryStore, seen: &mut BTreeSet<String>) -> Result<()> {
        for object in list_all(store, "")? {
            if seen.insert(object.key.clone()) {
                self.put("names", object.key.as_bytes())?;
                self.object(&object.key, &store.get(&object.key)?)?;
            }
        }
        Ok(())
    }

    fn object(&self, key: &str, bytes: &[u8]) -> Result<()> {
        if key == layout::CONFIG {
            self.repository(0, bytes)?;
            return self.put("config", bytes);
        }
        if key.starts_with(layout::KEYS) {
            self.repository(8, bytes)?;
            return self.put("key_slot", bytes);
        }
        // What is no envelope has nothing in it: a heartbeat, the clock.
        let Some(kind) = ObjectKind::of_header(bytes).filter(|_| bytes.starts_with(&envelope::MAGIC)) else {
            return Ok(());
        };
        self.put("envelope", bytes)?;
        if ChunkKind::of(kind).is_some() {
            return self.pack(key, bytes);
        }
        let payload = envelope::open(keys(), kind, key, bytes)?;
        let number = KINDS.iter().position(|other| *other == kind).ok_or("the kind is unknown")? as u8;
        self.put("envelope_payload", &[&[number, 0], &payload[..]].concat())?;
        self.put("envelope_payload", &[&[number, 1], &zstd::bulk::compress(&payload, 3)?[..]].concat())?;
        let how = match kind {
            ObjectKind::Segment => 1,
            ObjectKind::Snapshot => 2,
            ObjectKind::Condemned => 3,
            _ => 4,
        };
        self.repository(how, &payload)?;
        match kind {
            ObjectKind::Segment => self.segment(&payload),
            ObjectKind::Snapshot => self.put("manifest", &payload),
            ObjectKind::Condemned => self.put("condemned", &payload),
            _ => {
                self.put("session", &[&[0], bytes].concat())?;
                self.put("session", &[&[1], &payload[..]].concat())
            }
        }
    }

    fn pack(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.put("pack", bytes)?;
        let (header, chunks) = read_pack(keys(), key, bytes)?;
        let kind = ChunkKind::of(header.kind).ok_or("it is no pack")?;
        self.put("pack_footer", &[&[0], &encode_footer(&chunks)[..]].concat())?;
        self.repository(6, &encode_footer(&chunks))?;
        // A few of very many that are alike.
        let few = chunks.len().min(8);
        self.put("pack_footer", &[&[0], &encode_footer(&chunks[..few])[..]].concat())?;
        for c in chunks.iter().take(if kind == ChunkKind::Tree { usize::MAX } else { few }) {
            let mut sealed = bytes[c.offset as usize..][..c.sealed_len as usize].to_vec();
            let packed = open_packed(&header.sealer, kind, &c.id, &mut sealed);
            let packed = packed.ok_or("a chunk does not open")?;
            let flags = u8::from(c.compressed) | u8::from(kind == ChunkKind::Tree) << 1;
            self.put("pack_chunk", &[&[flags, 0, 0], packed].concat())?;
            let mut buffer = Vec::new();
            let plain = unpack(keys(), &c.id, packed, c.plain_len, c.compressed, &mut buffer);
            let plain = plain.ok_or("a chunk does not unpack")?;
            if kind == ChunkKind::Tree {
                self.node(plain)?;
            }
        }
        Ok(())
    }

    fn segment(&self, payload: &[u8]) -> Result<()> {
        self.put("segment", payload)?;
        let packs = ssb::repo::segment::decode(payload).map_err(|error| error.0)?;
        for pack in packs {
            let few = PackListing { chunks: pack.chunks.iter().take(3).copied().collect(), ..pack };
            self.put("segment", &ssb::repo::segment::encode(std::slice::from_ref(&few)))?;
            self.put("index_record", &encode_pack(&few))?;
            let places = few.chunks.iter().zip(0..).map(|(c, ordinal)| {
                let ssb::index::ListedChunk { offset, sealed_len, plain_len, compressed, .. } = *c;
                encode_location(&Location { pack: 5, ordinal, offset, sealed_len, plain_len, compressed })
            });
            self.put("index_record", &places.collect::<Vec<_>>().concat())?;
        }
        Ok(())
    }

    fn node(&self, node: &[u8]) -> Result<()> {
        self.put("tree_node", node)?;
        self.repository(5, node)?;
        self.put("tree_diff", &[&(node.len() as u16).to_le_bytes(), node, node].concat())
    }

    /// A leaf with an entry of every kind, one that differs from it, and an inner node above both.
    fn nodes(&self) -> Result<()> {
        let leaf = |inode: u64| {
            let mut leaf = LeafWriter::default();
            entries(inode).iter().for_each(|entry| leaf.add(entry));
            leaf.finish().0
        };
        let (one, other) = (leaf(1), leaf(2));
        self.node(&one)?;
        self.put("tree_diff", &[&(one.len() as u16).to_le_bytes()[..], &one, &other].concat())?;
        let child = |directory: &str, name: &str, leaf: &[u8]| Child {
            directory: directory.as_bytes().into(),
            name: name.as_bytes().into(),
            id: keys().chunk_id(leaf),
        };
        self.node(&encode_inner(1, &[child("", "1", &one), child("a/b", "x", &other)]))?;
        self.put("codec", &one)
    }

    /// Entries of a restore: an orderly tree with and without options.
    fn forged(&self) -> Result<()> {
        const FILE: u8 = 16;
        let tree = [[1, 0, 0], [2, 0, 1], [FILE, 0, 2], [FILE, 1, 3], [1, 1, 1], [FILE, 4, 4]].concat();
        (0..32).step_by(3).try_for_each(|options| self.put("restore", &[&[options], &tree[..]].concat()))
    }

    /// Changes of the honest segment, at either end and in between.
    fn lies(&self) -> Result<()> {
        [[0, 0, 1], [100, 0, 1], [33, 1, 0x80], [0xff, 0xff, 3]].iter().try_for_each(|edit| self.repository(7, edit))
    }

    /// A slot that opens; the repository's own does as well.
    fn slots(&self, repo: &Repo) -> Result<()> {
        let config = StoredConfig::create(keys(), repo.config.clone())?;
        let created = ssb::base::Clock::now(&Standstill);
        let maker = SlotMaker { created, host: "host".to_owned(), user: "user".to_owned() };
        let slot = Slot::create(keys(), &config, &passphrase(), KDF, maker, &Chance::default())?;
        self.put("key_slot", &slot.encode()?)?;
        let issue = serde_json::json!({"code": "source-changed", "subject": "/a", "what": "it changed", "next": ""});
        let plain = manifest(ChunkId::from_bytes([3; 32]));
        let other = serde_json::Map::from_iter([("later".to_owned(), serde_json::json!({"x": [1, -2.5e-7, null]}))]);
        let rich = Manifest { issues: vec![serde_json::from_value(issue)?], other, ..plain };
        self.put("manifest", &rich.encode()?)
    }

    fn texts(&self) -> Result<()> {
        for words in [
            "backup\n/a\n--tag\na,b\n--exclude\n*.tmp",
            "-r\ns3://bucket/x\n--request-timeout\n1m 30s\n--connections\n3\ncheck\n--read-data-subset\n3/7",
            "forget\n--keep-within\n30d\n--keep-last\n3\n--group-by\nhost,tags\n--prune\n--wait",
            "prune\n--fence-after\n6h\n--limit-upload\n500\n--max-unused\n5%",
            "restore\nlatest:/a\n--target\n/b\n--include\nx",
            "--help",
        ] {
            self.put("command_line", words.as_bytes())?;
        }
        for patterns in
            ["*.tmp\n/a/**/c.x\n\na/b/c.x", "cache/\n\nq/cache/x", "?{a,b}\n[!x-z]\n\n1b", "\\*\n\n../x/./*"]
        {
            self.put("filter", patterns.as_bytes())?;
        }
        for file in [
            include_str!("../config/config.toml"),
            include_str!("../config/examples/redis.toml"),
            "[run]\nnicce = 1\n[policies.p]\nretention = { keep-last = 'all', keep-within = '1q' }",
            r#"{"repository": {"password": {"file": "/x"}}, "entries": {"a": {"paths": ["/a"], "polcy": "p"}}}"#,
        ] {
            self.put("config_file", file.as_bytes())?;
        }
        let list = |ids: usize| [&[ids as u8 * 32][..], &vec![7; ids * 32]].concat();
        for depth in [0, 1, 2] {
            self.put("id_list", &[&[depth], &list(2)[..], &list(2), &list(3), &list(7)].concat())?;
        }
        for rules in [r#"{"last":3,"daily":"unlimited","within":"30d","tags":[["a","b"]]}"#, "host,paths,tags"] {
            self.put("retention_span", &[&[0; 9], rules.as_bytes()].concat())?;
        }
        for span in ["2y5m7d3h", "30d", "48h", "1y6m", "2w", "unlimited", "7", "4294967295y", "1d2d", "3\u{fc}", ""] {
            let moment = 1_780_000_000_i64.to_le_bytes();
            (0..3)
                .try_for_each(|zone| self.put("retention_span", &[&moment[..], &[zone], span.as_bytes()].concat()))?;
        }
        for location in [
            "/srv/backup",
            "backup",
            "./odd://name",
            "file:///srv/my%20backup",
            "file://host/x",
            "s3://backups",
            "s3://backups/hosts/web-1//",
            "S3://my.bucket/Team",
            "s3://key:word@host/x",
            "s3:bucket",
            "gs://bucket/x",
            "https://key:word@host/bucket",
        ] {
            self.put("location", location.as_bytes())?;
        }
        for text in
            [&b"/plain"[..], b"n\xf6t \x01 utf-8\\x41\n", "\u{fc}\u{85}".as_bytes(), b"\\x5cx41\\", b"\\xZZ\\xf"]
        {
            self.put("text", text)?;
        }
        Ok(())
    }
}

/// One of every kind, some in other directories.
fn entries(inode: u64) -> Vec<Entry> {
    let entry = |kind: Kind, directory: &str, name: &str| Entry {
        directory: directory.as_bytes().into(),
        name: name.as_bytes().into(),
        metadata: Metadata {
            kind,
            mode: 0o644,
            uid: 1000,
            gid: 100,
            mtime: FileTime { seconds: -5, nanoseconds: 999_999_999 },
            ctime: FileTime { seconds: 1_780_000_000, nanoseconds: 1 },
            inode,
            size: if kind == Kind::File { 5000 } else { 0 },
            sparse: kind == Kind::File && directory.is_empty(),
            rdev: if matches!(kind, Kind::CharDevice | Kind::BlockDevice) { 0x0801 } else { 0 },
            target: if kind == Kind::Symlink { b"../x".to_vec() } else { Vec::new() },
        },
        content: match kind {
            Kind::File => Content { depth: inode as u32 % 3, ids: vec![ChunkId::from_bytes([4; 32]); 2] },
            _ => Content::default(),
        },
        extensions: if kind == Kind::Fifo { vec![(2, b"later".to_vec())] } else { Vec::new() },
    };
    vec![
        entry(Kind::Directory, "", "1"),
        entry(Kind::File, "", "2"),
        entry(Kind::Symlink, "", "3"),
        entry(Kind::Fifo, "1", "a"),
        entry(Kind::CharDevice, "1", "b"),
        entry(Kind::BlockDevice, "1/2", "a"),
        entry(Kind::Socket, "1/2", "b"),
    ]
}
