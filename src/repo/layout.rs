//! Names of objects; the only place that builds or takes apart a key of the store.

use crate::base::{PackId, SegmentId, SessionId, SnapshotId};

pub const CONFIG: &str = "config";
pub const KEYS: &str = "keys/";
pub const PACKS: &str = "packs/";
pub const SEGMENTS: &str = "index/";
pub const SNAPSHOTS: &str = "snapshots/";
pub const SESSIONS: &str = "sessions/";
pub const CONDEMNED: &str = "gc/condemned/";
/// Rewritten to learn the store's time.
pub const CLOCK: &str = "gc/clock";
/// Written and removed to try a store out.
pub const PROBES: &str = "gc/probe/";

pub fn slot(name: &str) -> String {
    format!("{KEYS}{name}")
}

pub fn pack(id: &PackId) -> String {
    let hex = id.to_string();
    format!("{PACKS}{}/{hex}", &hex[..2])
}

pub fn segment(id: &SegmentId) -> String {
    format!("{SEGMENTS}{id}")
}

pub fn snapshot(id: &SnapshotId) -> String {
    format!("{SNAPSHOTS}{id}")
}

pub fn session_open(id: &SessionId) -> String {
    format!("{SESSIONS}{id}/open")
}

pub fn session_beat(id: &SessionId) -> String {
    format!("{SESSIONS}{id}/beat")
}

pub fn probe(name: &str) -> String {
    format!("{PROBES}{name}")
}

pub fn condemned(hash: &str) -> String {
    format!("{CONDEMNED}{hash}")
}

/// The id of a pack's key; `None` if the key is not one.
pub fn parse_pack(key: &str) -> Option<PackId> {
    let id: PackId = key.strip_prefix(PACKS)?.get(3..)?.parse().ok()?;
    (pack(&id) == key).then_some(id)
}

pub fn parse_segment(key: &str) -> Option<SegmentId> {
    let id = key.strip_prefix(SEGMENTS)?.parse().ok()?;
    (segment(&id) == key).then_some(id)
}

pub fn parse_snapshot(key: &str) -> Option<SnapshotId> {
    let id = key.strip_prefix(SNAPSHOTS)?.parse().ok()?;
    (snapshot(&id) == key).then_some(id)
}

/// The session of an `open` key; `None` for heartbeats and all else.
pub fn parse_session_open(key: &str) -> Option<SessionId> {
    let id = key.strip_prefix(SESSIONS)?.strip_suffix("/open")?.parse().ok()?;
    (session_open(&id) == key).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_strangers_are_ignored() {
        let pack_id = PackId::from_bytes([0xab; 32]);
        assert_eq!(parse_pack(&pack(&pack_id)), Some(pack_id));
        assert!(pack(&pack_id).starts_with("packs/ab/abab"));
        assert_eq!(parse_pack(&pack(&pack_id).replace("/ab/", "/ac/")), None);
        assert_eq!(parse_pack("packs/a"), None);
        assert_eq!(parse_pack("packs/é/"), None);
        let session = SessionId::from_bytes([1; 16]);
        assert_eq!(parse_session_open(&session_open(&session)), Some(session));
        assert_eq!(parse_session_open(&session_beat(&session)), None);
        assert_eq!(parse_segment("index/.tmp"), None);
        // Hexadecimal in capitals reads as the same id, and names another object or none.
        let shout = |key: String| key.replace("abab", "ABAB").replace("0b", "0B");
        let (segment_id, snapshot_id) = (SegmentId::from_bytes([0xab; 32]), SnapshotId::from_bytes([0xab; 32]));
        assert_eq!(parse_segment(&segment(&segment_id)), Some(segment_id));
        assert_eq!(parse_segment(&shout(segment(&segment_id))), None);
        assert_eq!(parse_snapshot(&snapshot(&snapshot_id)), Some(snapshot_id));
        assert_eq!(parse_snapshot(&shout(snapshot(&snapshot_id))), None);
        assert_eq!(parse_session_open(&shout(session_open(&SessionId::from_bytes([0x0b; 16])))), None);
    }
}
