//! What the kernels do by themselves, one at a time on one thread: cutting, naming, compressing, sealing, packs, the
//! index, the tree. Says what a step costs where a whole backup is too coarse a measure. Compares with no other tool, and
//! what all kernels take together is the business of `limit.rs`.

#[path = "kernels/chunks.rs"]
mod chunks;
#[path = "kernels/data.rs"]
mod data;
#[path = "kernels/index.rs"]
mod index;
#[path = "kernels/packs.rs"]
mod packs;
#[path = "kernels/tree.rs"]
mod tree;

fn main() {
    divan::main();
}
