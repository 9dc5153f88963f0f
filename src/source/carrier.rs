//! A connection over HTTP/2 that carries the streams of several sources.

use std::sync::Arc;
use std::time::Instant;

use crate::http::line::Line;
use crate::source::pace::Pace;
use crate::sys::Registration;

/// As many streams a server is taken to allow until it says how many.
pub(crate) const STREAMS: usize = 100;
/// So many streams are reset at a time before their heads have come: servers
/// take more for an attack. The others are left alone until theirs come.
const EARLY_CANCELS: u32 = 20;
/// The most of requests' bodies that waits to be written.
const OUTPUT: usize = 64 * 1024;

/// A connection, and whose streams it has.
pub(crate) struct Carrier {
    /// None once it is closed.
    pub(crate) line: Option<Line>,
    /// Dropped before it is closed.
    pub(crate) registration: Option<Registration>,
    pub(crate) group: u32,
    /// It takes new streams.
    pub(crate) is_current: bool,
    /// How many sources have a ticket.
    pub(crate) users: u32,
    /// The streams that are wanted, in the order of their numbers.
    pub(crate) riders: Vec<Rider>,
    pub(crate) bodies: Vec<Sending>,
    pub(crate) early_cancels: u32,
    /// When the server's last bytes came.
    pub(crate) heard: Instant,
    pub(crate) is_pinged: bool,
    pub(crate) pace: Pace,
    pub(crate) is_touched: bool,
    pub(crate) has_more: bool,
}

/// A stream that is wanted, and the source whose it is.
pub(crate) struct Rider {
    pub(crate) stream: u32,
    pub(crate) token: u64,
    pub(crate) has_head: bool,
}

/// A request's body, of which some is left.
pub(crate) struct Sending {
    pub(crate) stream: u32,
    pub(crate) body: Arc<Vec<u8>>,
    pub(crate) sent: usize,
    /// When the last of it went.
    pub(crate) at: Instant,
}

impl Carrier {
    pub(crate) fn new(line: Line, group: u32) -> Carrier {
        Carrier {
            line: Some(line),
            registration: None,
            group,
            is_current: true,
            users: 0,
            riders: Vec::new(),
            bodies: Vec::new(),
            early_cancels: 0,
            heard: Instant::now(),
            is_pinged: false,
            pace: Pace::default(),
            is_touched: false,
            has_more: false,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.line.as_ref().is_some_and(|line| {
            let is_allowed =
                line.engine.has_begun() || self.riders.len() < STREAMS;
            is_allowed && line.engine.has_room()
        })
    }

    pub(crate) fn find(&self, stream: u32) -> Option<usize> {
        self.riders.binary_search_by_key(&stream, |it| it.stream).ok()
    }

    /// The stream is over: whose it was.
    pub(crate) fn remove(&mut self, stream: u32) -> Option<Rider> {
        self.bodies.retain(|body| body.stream != stream);
        self.find(stream).map(|index| self.riders.remove(index))
    }

    /// A stream is wanted no more.
    pub(crate) fn cancel(&mut self, stream: u32) {
        let Some(rider) = self.remove(stream) else { return };
        let is_early = !rider.has_head;
        if is_early && self.early_cancels >= EARLY_CANCELS {
            return;
        }
        self.early_cancels += u32::from(is_early);
        if let Some(line) = &mut self.line {
            line.engine.cancel(stream);
        }
    }

    /// Puts what there is room for of the requests' bodies where it is sent.
    fn fill(&mut self) {
        let Some(line) = &mut self.line else { return };
        self.bodies.retain_mut(|body| {
            while line.engine.output().len() < OUTPUT {
                let rest = &body.body[body.sent..];
                match line.engine.send(body.stream, rest) {
                    0 => break,
                    sent => body.sent += sent,
                }
                body.at = Instant::now();
            }
            body.sent < body.body.len()
        });
    }

    /// Sends what can be sent.
    pub(crate) fn flush(&mut self) {
        loop {
            self.fill();
            let Some(line) = &mut self.line else { return };
            let has_sent = line.flush();
            let is_empty = line.engine.output().is_empty();
            if !has_sent || !is_empty || self.bodies.is_empty() {
                return;
            }
        }
    }
}
