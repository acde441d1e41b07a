//! Defects found by random worlds and not repaired yet: what they spoil is not judged. Each has an ignored test in `findings`, which
//! loses its `#[ignore]` in the commit that makes the constant false; once all are false this file goes.

/// Who is refused, because it may only read or because the document is deleted over there, asks again every two seconds for ever.
pub const THE_REFUSED_KEEP_ASKING: bool = true;
/// What was typed offline into a document that was closed before the link came up is not sent when it does.
pub const CLOSED_DOCUMENTS_STAY_BEHIND: bool = true;
/// A relay that is asked for its directory before its store is listed never tells what the list brings, and a list that failed is not
/// tried again: what no application has open stays unknown to other relays.
pub const RELAYS_ANSWER_BEFORE_THEY_KNOW: bool = true;
/// Of two channels to the same peer only the older one is pushed to: while it is half open, and after it is gone, what should have been
/// pushed is missing on the newer one.
pub const DEAD_CHANNELS_SWALLOW_PUSHES: bool = true;
/// A clock that is set back makes everything that was sent count as just sent, so nobody asks whether it arrived until the clock is where
/// it was.
pub const A_CLOCK_SET_BACK_DELAYS_QUESTIONS: bool = true;
/// A peer that has asked to delete a document still counts as having what it had, for whoever refused.
pub const WHO_DELETED_COUNTS_AS_HAVING: bool = true;
