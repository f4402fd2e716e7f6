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
    key.strip_prefix(SEGMENTS)?.parse().ok()
}

pub fn parse_snapshot(key: &str) -> Option<SnapshotId> {
    key.strip_prefix(SNAPSHOTS)?.parse().ok()
}

/// The session of an `open` key; `None` for heartbeats and all else.
pub fn parse_session_open(key: &str) -> Option<SessionId> {
    key.strip_prefix(SESSIONS)?.strip_suffix("/open")?.parse().ok()
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
    }
}
