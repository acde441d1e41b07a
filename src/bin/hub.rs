//! The native relay process.
fn main() {}
