//! What every rendering is made from.

use super::RunRecord;

/// A run, and what stands around it. The texts are masked already.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub record: &'a RunRecord,
    /// The runs before, oldest first.
    pub history: &'a [RunRecord],
    /// The address of the page of the run.
    pub link: Option<&'a str>,
    /// The run never was.
    pub is_test: bool,
}

impl<'a> View<'a> {
    pub fn new(record: &'a RunRecord) -> Self {
        Self { record, history: &[], link: None, is_test: false }
    }
}
