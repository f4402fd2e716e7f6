//! The calls of a store as values, for the decorators that plan, record or name them.

/// Which call of [`ObjectStore`](super::ObjectStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Put,
    PutNew,
    Get,
    GetRange,
    Head,
    List,
    Delete,
    DeleteMany,
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Operation::Put | Operation::PutNew => "put",
            Operation::Get | Operation::GetRange => "get",
            Operation::Head => "head",
            Operation::List => "list",
            Operation::Delete | Operation::DeleteMany => "delete",
        }
    }

    /// Whether the call changes what the store holds.
    pub fn is_write(self) -> bool {
        matches!(self, Operation::Put | Operation::PutNew | Operation::Delete | Operation::DeleteMany)
    }
}
