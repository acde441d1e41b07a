//! Decides who gets what, and when. Pure: no IO, no clock, no randomness, no document.

mod channel;
mod permissions;
mod time;

pub use channel::{ChannelId, ChannelKind};
pub use permissions::{AllowAll, PeerContext, Permissions};
pub use time::Timestamp;

/// Which documents a repo fetches of those it hears of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interest {
    /// Those the application has opened.
    #[default]
    Opened,
    /// All: a relay that keeps everything.
    Everything,
}
