//! Judgement of what peers send, before the synchronizer hears of it.
//!
//! Decides in which order judged messages go on and what becomes of those that wait for their verdict. Never judges: that is up to
//! the [`Admission`] a repo was given. Never looks into a document.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    task::Poll,
};

use futures_util::future::{AbortHandle, Abortable};

use super::{ErrorCode, LocalBoxFuture, RepoError, RepoEvent, inner::RepoInner};
use crate::{
    protocol::{DocId, Message, MessageKind, RefusalReason},
    synchronizer::{ChannelId, Input, PeerContext, Timestamp},
};

/// Messages of one channel that may wait for verdicts; with more it is closed.
pub const WAITING_MESSAGES: usize = 16_384;
/// Payload bytes of one channel that may wait for verdicts; with more it is closed. One message may be larger.
pub const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Documents of one refused message whose refusal its sender is told of: as many as honest peers put into one.
const REFUSED_DOCS: usize = 1_000;

/// A message of a peer, as far as it is told to an [`Admission`].
#[derive(Debug, Clone)]
pub struct AdmissionRequest {
    /// What kind of message. Never an establish-request or -response, nor a batch: its members are judged one by one.
    pub kind: MessageKind,
    /// Who sent it, on which channel.
    pub peer: Rc<PeerContext>,
    /// The document it is about, if that is exactly one.
    pub doc: Option<DocId>,
    /// Bytes of payload: [`Message::payload_bytes`].
    pub bytes: usize,
    /// When it arrived.
    pub now: Timestamp,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the synchronizer.
    Admit,
    /// It is dropped, and its sender is told if it understands that.
    Refuse {
        /// Why.
        reason: RefusalReason,
        /// Milliseconds after which trying again makes sense, if that is known.
        retry_ms: Option<u32>,
    },
}

/// A verdict, or the promise of one.
pub enum Decision {
    /// At once: costs no task and no allocation.
    Now(Verdict),
    /// Later. What the channel brings meanwhile is judged too, and waits behind it. Dropped unfinished when the channel closes.
    Later(LocalBoxFuture<Verdict>),
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(verdict) => f.debug_tuple("Now").field(verdict).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// Judges every message of an established peer, on network and tabs channels.
///
/// A panic counts as a refusal. A refused refusal is dropped without an answer: two peers that refuse each other end there.
pub trait Admission {
    /// Judges one message. It must not block.
    fn admit(&self, request: &AdmissionRequest) -> Decision;
}

/// Several admissions in order; the first refusal counts, and those behind it are not asked.
#[derive(Clone)]
pub struct Chain(Rc<[Rc<dyn Admission>]>);

impl Chain {
    /// Makes one of several. An empty one admits everything.
    pub fn new(admissions: impl IntoIterator<Item = Rc<dyn Admission>>) -> Self {
        Self(admissions.into_iter().collect())
    }

    fn ask(&self, first: usize, request: &AdmissionRequest) -> Decision {
        for (number, admission) in self.0.iter().enumerate().skip(first) {
            match admission.admit(request) {
                Decision::Now(Verdict::Admit) => {}
                refusal @ Decision::Now(_) => return refusal,
                Decision::Later(verdict) => {
                    let (chain, request) = (self.clone(), request.clone());
                    return Decision::Later(Box::pin(async move {
                        match verdict.await {
                            Verdict::Admit => match chain.ask(number + 1, &request) {
                                Decision::Now(verdict) => verdict,
                                Decision::Later(verdict) => verdict.await,
                            },
                            refusal => refusal,
                        }
                    }));
                }
            }
        }
        Decision::Now(Verdict::Admit)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("admissions", &self.0.len()).finish()
    }
}

impl Admission for Chain {
    fn admit(&self, request: &AdmissionRequest) -> Decision {
        self.ask(0, request)
    }
}

/// What has arrived and is not judged yet. Only of a repo that has an [`Admission`].
pub(super) struct Gate {
    admission: Rc<dyn Admission>,
    arrivals: RefCell<VecDeque<(ChannelId, Message)>>,
    reported: Cell<bool>,
}

impl Gate {
    pub(super) fn new(admission: Rc<dyn Admission>) -> Self {
        Self { admission, arrivals: RefCell::default(), reported: Cell::new(false) }
    }

    /// Takes what arrived; the pump asks about it when everything before it is done.
    pub(super) fn take(&self, channel: ChannelId, messages: Vec<Message>) {
        self.arrivals.borrow_mut().extend(messages.into_iter().map(|message| (channel, message)));
    }

    /// Takes messages that come before all that have arrived.
    fn take_first(&self, channel: ChannelId, messages: impl DoubleEndedIterator<Item = Message>) {
        let mut arrivals = self.arrivals.borrow_mut();
        for message in messages.rev() {
            arrivals.push_front((channel, message));
        }
    }
}

/// What waits on one channel: a message without a verdict, and all that came after it. Goes when the channel does.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    next: u64,
}

struct Waiting {
    /// Consecutive within a line.
    number: u64,
    message: Message,
    bytes: usize,
    state: State,
}

enum State {
    /// A handshake, or behind one: who sends it is known when what is before it is through.
    Unasked,
    Asked {
        _task: AbortOnDrop,
    },
    Judged(Verdict),
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const UNAUTHORIZED: Verdict = Verdict::Refuse { reason: RefusalReason::Unauthorized, retry_ms: None };

impl RepoInner {
    /// Asks about the next message that has arrived; returns whether there was one. Called by the pump when its queue is empty, so that
    /// a handshake before the message is done.
    pub(super) fn judge_next(&self) -> bool {
        let Some(gate) = &self.gate else { return false };
        let next = gate.arrivals.borrow_mut().pop_front();
        let Some((channel, message)) = next else { return false };
        match message {
            Message::Batch(messages) => gate.take_first(channel, messages.into_iter()),
            message => self.judge(gate, channel, message),
        }
        true
    }

    fn judge(&self, gate: &Gate, channel: ChannelId, message: Message) {
        let kind = message.kind();
        let handshake = matches!(kind, MessageKind::EstablishRequest | MessageKind::EstablishResponse);
        {
            let pipes = self.pipes.borrow();
            let Some(pipe) = pipes.get(&channel) else { return };
            let last = pipe.line.waiting.back();
            if last.is_some_and(|last| handshake || matches!(last.state, State::Unasked)) {
                drop(pipes);
                self.wait(channel, message, State::Unasked);
                return;
            }
        }
        if handshake {
            return self.enqueue(Input::Received { channel, message });
        }
        let peer = self.sync.borrow().peer(channel);
        // The synchronizer drops what comes from strangers.
        let Some(peer) = peer else { return self.judged(channel, message, Verdict::Admit) };
        let (doc, bytes) = (message.doc().cloned(), message.payload_bytes());
        let request = AdmissionRequest { kind, peer, doc, bytes, now: self.env.now() };
        let decision = catch_unwind(AssertUnwindSafe(|| gate.admission.admit(&request)));
        match decision.unwrap_or_else(|_| Decision::Now(self.panicked())) {
            Decision::Now(verdict) => self.judged(channel, message, verdict),
            Decision::Later(verdict) => {
                let (abort, registration) = AbortHandle::new_pair();
                let Some(number) = self.wait(channel, message, State::Asked { _task: AbortOnDrop(abort) }) else { return };
                let verdict = Abortable::new(contained(verdict), registration);
                let weak = self.weak.clone();
                self.env.spawn(Box::pin(async move {
                    let Ok(verdict) = verdict.await else { return };
                    let Some(inner) = weak.upgrade().filter(|inner| !inner.closed.get()) else { return };
                    let verdict = verdict.unwrap_or_else(|| inner.panicked());
                    inner.answered(channel, number, verdict);
                    inner.pump();
                }));
            }
        }
    }

    /// A verdict is there at once: it counts now, or when all before it is through.
    fn judged(&self, channel: ChannelId, message: Message, verdict: Verdict) {
        let behind = self.pipes.borrow().get(&channel).is_some_and(|pipe| !pipe.line.waiting.is_empty());
        if behind {
            self.wait(channel, message, State::Judged(verdict));
        } else {
            self.carry_out(channel, message, verdict);
        }
    }

    /// Lets a message wait and returns its number, or closes the channel if too much waits there.
    fn wait(&self, channel: ChannelId, message: Message, state: State) -> Option<u64> {
        let bytes = message.payload_bytes();
        let mut pipes = self.pipes.borrow_mut();
        let line = &mut pipes.get_mut(&channel)?.line;
        let many = line.waiting.len() >= WAITING_MESSAGES;
        if many || !line.waiting.is_empty() && line.bytes.saturating_add(bytes) > WAITING_BYTES {
            let gone = pipes.remove(&channel)?;
            drop(pipes);
            let who = self.sync.borrow().peer(channel).map_or_else(|| "a peer".to_owned(), |peer| format!("peer {}", peer.peer_id));
            gone.channel.close();
            self.enqueue(Input::ChannelClosed { channel });
            let bound = if many { format!("{WAITING_MESSAGES} messages") } else { format!("{WAITING_BYTES} bytes") };
            let error =
                RepoError::new(ErrorCode::Refused, format!("{who} has more than {bound} waiting for admission; it was disconnected"));
            self.emit(RepoEvent::Error { error, doc: None });
            return None;
        }
        let number = line.next;
        line.next += 1;
        line.bytes += bytes;
        line.waiting.push_back(Waiting { number, message, bytes, state });
        Some(number)
    }

    /// A verdict has come late: what is first in line and judged goes on.
    fn answered(&self, channel: ChannelId, number: u64, verdict: Verdict) {
        let Some(gate) = &self.gate else { return };
        let mut through = Vec::new();
        {
            let mut pipes = self.pipes.borrow_mut();
            let Some(pipe) = pipes.get_mut(&channel) else { return };
            let line = &mut pipe.line;
            let place = line.waiting.front().map_or(0, |first| number.saturating_sub(first.number));
            let Some(waiting) = usize::try_from(place).ok().and_then(|place| line.waiting.get_mut(place)) else { return };
            waiting.state = State::Judged(verdict);
            while let Some(first) = line.waiting.pop_front() {
                match first.state {
                    State::Judged(verdict) => {
                        line.bytes -= first.bytes;
                        through.push((first.message, verdict));
                    }
                    State::Asked { .. } => {
                        line.waiting.push_front(first);
                        break;
                    }
                    State::Unasked => {
                        let rest = std::mem::take(&mut line.waiting);
                        gate.take_first(channel, std::iter::once(first).chain(rest).map(|waiting| waiting.message));
                    }
                }
            }
        }
        for (message, verdict) in through {
            self.carry_out(channel, message, verdict);
        }
    }

    fn carry_out(&self, channel: ChannelId, message: Message, verdict: Verdict) {
        let Verdict::Refuse { reason, retry_ms } = verdict else { return self.enqueue(Input::Received { channel, message }) };
        let mut docs = message.docs();
        // An answer to a refusal might be refused as well, and so on.
        docs.retain(|doc| doc.is_valid() && message.kind() != MessageKind::Refusal);
        docs.truncate(REFUSED_DOCS);
        if docs.is_empty() {
            self.enqueue(Input::Refused { channel, doc: None, reason, retry_ms });
        }
        for doc in docs {
            self.enqueue(Input::Refused { channel, doc: Some(doc.clone()), reason, retry_ms });
        }
    }

    /// Says once that the hook is defective; every message it fails on is refused.
    fn panicked(&self) -> Verdict {
        if let Some(gate) = &self.gate
            && !gate.reported.replace(true)
        {
            let error = RepoError::new(ErrorCode::Panic, "the admission panicked; that counts as a refusal");
            self.emit(RepoEvent::Error { error, doc: None });
        }
        UNAUTHORIZED
    }
}

/// Waits for a verdict; `None` if it panics, where panics unwind.
async fn contained(mut verdict: LocalBoxFuture<Verdict>) -> Option<Verdict> {
    std::future::poll_fn(move |context| {
        catch_unwind(AssertUnwindSafe(|| verdict.as_mut().poll(context))).map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}
