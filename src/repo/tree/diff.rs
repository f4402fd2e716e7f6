//! Where two trees, or one directory of each, differ: a merge of both that does not read the nodes which they share. Says
//! which entries differ and not what that means; looks into no content.

use super::NodeSource;
use super::entry::{Entry, Path, Place, compare_paths, is_below};
use super::node::Node;
use super::reader::{Hole, Pending};
use crate::base::ChunkId;
use std::cmp::Ordering;

/// The entries of a tree that stand below one directory.
#[derive(Clone, Debug)]
pub struct Subtree {
    pub root: ChunkId,
    /// Relative to `/`, without slashes at its ends; empty for all entries.
    pub directory: Vec<u8>,
}

/// Two entries of the same place that are not the same, or one whose place is empty in the other tree. Places are seen
/// from the directory that each tree is walked below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub before: Option<Entry>,
    pub after: Option<Entry>,
}

impl Difference {
    fn is_real(&self) -> bool {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return true };
        // Their directories may have different names.
        (&before.metadata, &before.content, &before.extensions) != (&after.metadata, &after.content, &after.extensions)
    }
}

/// One of the two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// Entries of one tree that could not be read. What the other tree has in their place is passed over, because nobody knows
/// whether it differs.
#[derive(Debug)]
pub struct DiffHole {
    pub side: Side,
    pub hole: Hole,
}

/// Walks two trees in step; holds one node per level of each.
pub struct TreeDiff<'a> {
    source: &'a dyn NodeSource,
    before: Cursor,
    after: Cursor,
    /// What a node holds means the same on both sides.
    can_share: bool,
}

/// What to do next.
enum Step {
    End,
    /// Both trees go on with the same node.
    Skip,
    Read(Side),
    /// Take the first entry of the tree in which it stands further in front, or of both if they are at the same place.
    Take(Ordering),
}

impl<'a> TreeDiff<'a> {
    /// `source` must have the nodes of both.
    pub fn new(source: &'a dyn NodeSource, before: Subtree, after: Subtree) -> Self {
        let can_share = before.directory == after.directory;
        Self { source, before: Cursor::new(before), after: Cursor::new(after), can_share }
    }

    /// The next difference in the order of the trees, or the next hole; `None` at the end.
    pub fn next_difference(&mut self) -> Option<Result<Difference, Box<DiffHole>>> {
        loop {
            self.before.settle();
            self.after.settle();
            match self.step() {
                Step::End => return None,
                Step::Skip => {
                    self.before.stack.pop();
                    self.after.stack.pop();
                }
                Step::Read(side) => {
                    if let Err(hole) = self.read(side) {
                        return Some(Err(hole));
                    }
                }
                Step::Take(order) => {
                    let before = if order == Ordering::Greater { None } else { self.before.leaf.pop() };
                    let after = if order == Ordering::Less { None } else { self.after.leaf.pop() };
                    let difference = Difference { before, after };
                    if difference.is_real() {
                        return Some(Ok(difference));
                    }
                }
            }
        }
    }

    /// Reads only where it must, so that a node which both trees have is met by both before either has read it.
    fn step(&self) -> Step {
        let is_before = |a, b| compare_paths(a, b) == Ordering::Less;
        match (self.before.front(), self.after.front()) {
            (Front::End, Front::End) => Step::End,
            (Front::Entry(_), Front::End) => Step::Take(Ordering::Less),
            (Front::End, Front::Entry(_)) => Step::Take(Ordering::Greater),
            (Front::Node(..), Front::End) => Step::Read(Side::Before),
            (Front::End, Front::Node(..)) => Step::Read(Side::After),
            (Front::Entry(before), Front::Entry(after)) => Step::Take(compare_paths(before, after)),
            (Front::Entry(entry), Front::Node(_, first)) if is_before(entry, first) => Step::Take(Ordering::Less),
            (Front::Entry(_), Front::Node(..)) => Step::Read(Side::After),
            (Front::Node(_, first), Front::Entry(entry)) if is_before(entry, first) => Step::Take(Ordering::Greater),
            (Front::Node(..), Front::Entry(_)) => Step::Read(Side::Before),
            (Front::Node(before, _), Front::Node(after, _)) if self.can_share && before.child.id == after.child.id => {
                Step::Skip
            }
            // Who begins later may still be met as a whole, and of two that begin together the lower one may be the
            // first child of the higher.
            (Front::Node(before, at_before), Front::Node(after, at_after)) => {
                let order = compare_paths(at_before, at_after).then(after.level.cmp(&before.level));
                Step::Read(if order == Ordering::Greater { Side::After } else { Side::Before })
            }
        }
    }

    /// Puts what the next node of a tree holds in its place.
    fn read(&mut self, side: Side) -> Result<(), Box<DiffHole>> {
        let (cursor, other) = match side {
            Side::Before => (&mut self.before, &mut self.after),
            Side::After => (&mut self.after, &mut self.before),
        };
        let Some(node) = cursor.stack.pop() else { return Ok(()) };
        match node.read(self.source) {
            Ok(Node::Leaf(mut entries)) => {
                entries.reverse();
                cursor.leaf = entries;
            }
            Ok(Node::Inner { level, children }) => cursor.stack.extend(node.into_children(level, children)),
            Err(error) => {
                match node.end().map(|end| locate(&cursor.directory, end)) {
                    Some(Seen::Below(place)) => other.from = (place.directory.into(), place.name.into()),
                    _ => other.finish(),
                }
                return Err(Box::new(DiffHole { side, hole: Hole::new(&node, error) }));
            }
        }
        Ok(())
    }
}

/// What a tree has next, and where.
enum Front<'c> {
    Entry(Path<'c>),
    /// All of its entries stand at this place or behind it.
    Node(&'c Pending, Path<'c>),
    End,
}

/// One of the trees, from a place on.
struct Cursor {
    directory: Vec<u8>,
    /// The next one last.
    stack: Vec<Pending>,
    /// The entries of the leaf at hand, the next one last.
    leaf: Vec<Entry>,
    /// What stands before this place, seen from the directory, is passed over.
    from: Place,
}

impl Cursor {
    fn new(subtree: Subtree) -> Self {
        let from = (FIRST.directory.into(), FIRST.name.into());
        Self { directory: subtree.directory, stack: vec![Pending::root(subtree.root)], leaf: Vec::new(), from }
    }

    /// Drops from its front what is not asked for: entries, and nodes that hold no others.
    fn settle(&mut self) {
        let from = Path { directory: &self.from.0, name: &self.from.1 };
        while let Some(entry) = self.leaf.last() {
            match locate(&self.directory, entry.place()) {
                Seen::Below(place) if compare_paths(place, from) != Ordering::Less => return,
                Seen::Behind => return self.finish(),
                _ => self.leaf.pop(),
            };
        }
        while let Some(node) = self.stack.last() {
            if matches!(locate(&self.directory, node.child.first()), Seen::Behind) {
                return self.finish();
            }
            let is_over = match node.end().map(|end| locate(&self.directory, end)) {
                Some(Seen::Ahead) => true,
                Some(Seen::Below(end)) => compare_paths(end, from) != Ordering::Greater,
                Some(Seen::Behind) | None => false,
            };
            if !is_over {
                return;
            }
            self.stack.pop();
        }
    }

    fn finish(&mut self) {
        self.leaf.clear();
        self.stack.clear();
    }

    fn front(&self) -> Front<'_> {
        match (self.leaf.last(), self.stack.last()) {
            (Some(entry), _) => Front::Entry(self.place(entry.place())),
            (None, Some(top)) => Front::Node(top, self.place(top.child.first())),
            (None, None) => Front::End,
        }
    }

    /// A place seen from the directory. A node that begins ahead of it may hold its very first entry.
    fn place<'p>(&self, place: Path<'p>) -> Path<'p> {
        if let Seen::Below(place) = locate(&self.directory, place) { place } else { FIRST }
    }
}

/// No entry stands before this place.
const FIRST: Path<'static> = Path { directory: b"", name: b"" };

/// Where a place lies as seen from a directory.
enum Seen<'p> {
    Ahead,
    /// In it or below it; the path from there.
    Below(Path<'p>),
    Behind,
}

fn locate<'p>(directory: &[u8], place: Path<'p>) -> Seen<'p> {
    if is_below(place.directory, directory) {
        let inner = &place.directory[directory.len()..];
        let inner = if directory.is_empty() { inner } else { inner.strip_prefix(b"/").unwrap_or(inner) };
        return Seen::Below(Path { directory: inner, name: place.name });
    }
    match compare_paths(place, Path { directory, name: b"" }) {
        Ordering::Less => Seen::Ahead,
        _ => Seen::Behind,
    }
}
