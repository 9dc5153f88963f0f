//! What is said of the connections that sources of a loop share by those who
//! may be on any thread: a source that is freed, a worker that has connected.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::failure::NoConnection;
use crate::inbox::Bell;
use crate::net::tls::Stream;
use crate::sync::lock;
use crate::wait::Recall;

/// Something for the thread that drives the loop to do.
pub(crate) enum Letter {
    /// A stream is wanted no more.
    Cancel { line: u32, stream: u32 },
    /// A source has left a connection.
    Leave { line: u32 },
    /// A connection was made, over which HTTP/2 is spoken or not; or none was.
    Dialled {
        group: u32,
        crowd: Arc<Crowd>,
        result: Result<(Stream, bool), NoConnection>,
    },
}

/// Where letters wait, until the loop takes them.
pub(crate) struct Post {
    letters: Mutex<Vec<Letter>>,
    bell: Bell,
}

impl Post {
    pub(crate) fn new(bell: Bell) -> Arc<Post> {
        Arc::new(Post { letters: Mutex::default(), bell })
    }

    pub(crate) fn put(&self, letter: Letter) {
        // In a child process the lock may be held for ever.
        if !self.bell.belongs_to_parent_process() {
            lock(&self.letters).push(letter);
            self.bell.ring();
        }
    }

    pub(crate) fn take(&self) -> Vec<Letter> {
        std::mem::take(&mut lock(&self.letters))
    }
}

/// A source's place on a connection: while there is one, the connection stays.
pub(crate) struct Ticket {
    post: Arc<Post>,
    pub(crate) line: u32,
    /// Its stream, while that is open.
    pub(crate) stream: Option<u32>,
}

impl Ticket {
    /// For a connection that has been told.
    pub(crate) fn new(post: &Arc<Post>, line: u32) -> Ticket {
        Ticket { post: post.clone(), line, stream: None }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let line = self.line;
        if let Some(stream) = self.stream {
            self.post.put(Letter::Cancel { line, stream });
        }
        self.post.put(Letter::Leave { line });
    }
}

/// Sources that wait for connections to be made. With the last of them the
/// attempts to connect end.
#[derive(Default)]
pub(crate) struct Crowd {
    count: AtomicUsize,
    dials: Mutex<Vec<Arc<Recall>>>,
}

/// A source's place in the crowd.
pub(crate) struct Waiting(Arc<Crowd>);

impl Crowd {
    /// A crowd of one.
    pub(crate) fn begin() -> (Arc<Crowd>, Waiting) {
        let crowd = Arc::new(Crowd::default());
        crowd.count.store(1, SeqCst);
        (crowd.clone(), Waiting(crowd))
    }

    /// One more, unless nobody is left.
    pub(crate) fn join(self: &Arc<Crowd>) -> Option<Waiting> {
        let joined = self.count.fetch_update(SeqCst, SeqCst, |count| {
            (count > 0).then_some(count + 1)
        });
        joined.ok().map(|_| Waiting(self.clone()))
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// An attempt to connect, made for the crowd, which is not empty.
    pub(crate) fn dials(&self, recall: Arc<Recall>) {
        lock(&self.dials).push(recall);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, SeqCst) == 1 {
            for recall in std::mem::take(&mut *lock(&self.0.dials)) {
                recall.raise();
            }
        }
    }
}
