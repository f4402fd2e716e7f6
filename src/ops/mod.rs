//! What a person asks for, one module per use case: options in, outcome out, and a plan in between where something may
//! be lost. Prints nothing and reads no clock.

pub mod retention;
