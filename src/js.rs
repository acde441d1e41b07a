//! The classes JavaScript sees.

pub mod loro;
