//! What every layer shares: typed ids, the clock, pacer and entropy that enter at the edges, events, cancellation, durations
//! as people write them, and the reversible text form of byte paths. Uses nothing of the crate and does no I/O but for the
//! two edge implementations.

pub mod cancel;
pub mod duration;
pub mod edge;
pub mod events;
pub mod ids;
pub mod parallel;
pub mod text;

pub use cancel::Cancel;
pub use edge::{Clock, Entropy, Pacer, SystemClock, SystemEntropy, SystemPacer};
pub use events::{Counter, Issue, IssueCode, Observer, Silent, Stage};
pub use ids::{ChunkId, PackId, RepoId, SegmentId, SessionId, SnapshotId};
