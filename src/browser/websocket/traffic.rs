//! Messages on a connection of this tab's own and on one behind another tab: the same. Decides nothing; counts.

use std::cell::Cell;

use crate::{
    protocol::{
        Message,
        frame::{self, FrameError},
    },
    runtime::{AdapterContext, ChannelStats, Env, ErrorCode, Problem, RepoError},
    synchronizer::ChannelId,
};

/// What has gone over a connection.
#[derive(Default)]
pub(super) struct Traffic(Cell<ChannelStats>);

impl Traffic {
    pub(super) fn stats(&self) -> ChannelStats {
        self.0.get()
    }

    /// Puts messages into payloads, which are to be sent.
    pub(super) fn payloads(&self, messages: &[Message], env: &dyn Env) -> Vec<Vec<u8>> {
        let payloads = frame::encode_transport(messages, frame::FRAGMENT_THRESHOLD, || env.random_u64().to_be_bytes());
        let mut stats = self.0.get();
        stats.messages_out += messages.len() as u64;
        stats.bytes_out += payloads.iter().map(|payload| payload.len() as u64).sum::<u64>();
        self.0.set(stats);
        payloads
    }

    /// Gives the repo what a payload of so many bytes made complete.
    pub(super) fn received(&self, context: &AdapterContext, channel: ChannelId, bytes: usize, read: Result<Vec<Message>, FrameError>) {
        let mut stats = self.0.get();
        stats.bytes_in += bytes as u64;
        stats.messages_in += read.as_ref().map_or(0, Vec::len) as u64;
        self.0.set(stats);
        match read {
            Ok(messages) if messages.is_empty() => {}
            Ok(messages) => context.receive(channel, messages),
            Err(error) => {
                let text = format!("the server sent what cannot be read ({}): {error}", error.code());
                context.report(Problem::Network(RepoError::new(ErrorCode::Decode, text).with_cause(error)));
            }
        }
    }
}
