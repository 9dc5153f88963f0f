//! What other threads may touch: ready state, close, listeners, items, and
//! the thread itself.

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::mem;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst,
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::error::Error;
use crate::failure::{Failure, LastFailure, RetryPlan};
use crate::panic::catch;
use crate::parser::{Event, Text};
use crate::response::Response;
use crate::settings::options::Options;
use crate::settings::request::Request;
use crate::source::life::{Handler, Source};
use crate::source::queue::{Batch, Queue, Taken, Writer};
use crate::state::{ReadyState, State};
use crate::stats::Stats;
use crate::sys;

/// Callbacks run on it; what connecting has used of it is given back.
const STACK: usize = 256 * 1024;

/// Called with each event, and its origin.
pub(crate) type OnEvent = Box<dyn Fn(&Event<'_>, &CStr) + Send + Sync>;
pub(crate) type OnOpen = Box<dyn Fn(&Response) + Send>;
pub(crate) type OnError = Box<dyn Fn(&Failure, RetryPlan) + Send>;
pub(crate) type OnComment = Box<dyn Fn(Text<'_>) + Send>;
pub(crate) type OnRequest =
    Box<dyn Fn(Request, u64, Option<&LastFailure>) -> Request + Send>;
pub(crate) type OnRetry =
    Box<dyn Fn(&Failure, RetryPlan, Duration) -> Option<Duration> + Send>;
pub(crate) type OnClose = Box<dyn FnOnce(Error) + Send>;

/// What the program wants to be called with.
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) open: Option<OnOpen>,
    pub(crate) event: Option<OnEvent>,
    pub(crate) error: Option<OnError>,
    pub(crate) comment: Option<OnComment>,
    pub(crate) request: Option<OnRequest>,
    pub(crate) retry: Option<OnRetry>,
}

impl Callbacks {
    /// Whether one is set that only tells what has happened. The others are
    /// asked what is to happen, and are for sources with a queue, too.
    fn tell(&self) -> bool {
        self.open.is_some()
            || self.event.is_some()
            || self.error.is_some()
            || self.comment.is_some()
    }
}

/// What the program sets until it connects.
pub(crate) struct Setup {
    pub(crate) options: Box<Options>,
    pub(crate) callbacks: Box<Callbacks>,
    /// Whether comments go into the queue.
    pub(crate) comments: bool,
}

#[derive(Clone)]
struct Listener {
    id: u64,
    event_type: Box<[u8]>,
    on_event: Arc<OnEvent>,
}

/// A source, as the program holds it.
pub(crate) struct Handle {
    url: CString,
    state: Arc<State>,
    stats: Arc<Stats>,
    with_credentials: AtomicBool,
    /// Taken by the source's thread.
    setup: Mutex<Option<Setup>>,
    /// Taken by whoever calls it: it is called once.
    on_close: Mutex<Option<OnClose>>,
    listeners: Mutex<Vec<Listener>>,
    /// Changes with every change of `listeners`; also the last id given.
    listeners_version: AtomicU64,
    /// In pull mode: what waits for the program to take it.
    queue: OnceLock<Arc<Queue>>,
    /// In pull mode: the ready state as of the item last taken.
    seen: AtomicU8,
    /// How often the program has wished to reconnect.
    reconnects: AtomicU32,
    /// Why the connection was failed, if it was.
    failed: OnceLock<Error>,
    /// The last event ID string, as of the event last dispatched.
    last_event_id: Mutex<Vec<u8>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Disconnected when the thread has made its last callback.
    done: OnceLock<Receiver<Infallible>>,
}

thread_local! {
    /// The source whose thread this is.
    static CURRENT: Cell<*const Handle> = const { Cell::new(ptr::null()) };
}

impl Handle {
    pub(crate) fn new(url: &str) -> Result<Handle, Error> {
        let options = Box::new(Options::new(url)?);
        // A URL is ASCII once serialized, and has no NUL.
        let url = CString::new(options.url.as_str()).map_err(|_| Error::Url)?;
        let callbacks = Box::default();
        let setup = Setup { options, callbacks, comments: false };
        Ok(Handle {
            url,
            state: Arc::default(),
            stats: Arc::default(),
            with_credentials: AtomicBool::new(false),
            setup: Mutex::new(Some(setup)),
            on_close: Mutex::default(),
            listeners: Mutex::default(),
            listeners_version: AtomicU64::new(0),
            queue: OnceLock::new(),
            seen: AtomicU8::new(ReadyState::Connecting as u8),
            reconnects: AtomicU32::new(0),
            failed: OnceLock::new(),
            last_event_id: Mutex::default(),
            thread: Mutex::default(),
            done: OnceLock::new(),
        })
    }

    /// Changes a setting; refused once the source has been connected.
    pub(crate) fn set(
        &self,
        change: impl FnOnce(&mut Setup) -> Result<(), Error>,
    ) -> Result<(), Error> {
        change(self.settings(&mut lock(&self.setup))?)
    }

    /// What may be set, unless the source has been connected.
    fn settings<'a>(
        &self,
        setup: &'a mut Option<Setup>,
    ) -> Result<&'a mut Setup, Error> {
        let connected = self.done.get().is_some();
        setup.as_mut().filter(|_| !connected).ok_or(Error::AlreadyConnected)
    }

    /// Sets what is called last of all.
    pub(crate) fn set_on_close(
        &self,
        on_close: Option<OnClose>,
    ) -> Result<(), Error> {
        self.set(|_| {
            *lock(&self.on_close) = on_close;
            Ok(())
        })
    }

    /// Presets the last event ID string.
    pub(crate) fn set_last_event_id(&self, id: &str) -> Result<(), Error> {
        self.set(|setup| {
            setup.options.set_last_event_id(id)?;
            *lock(&self.last_event_id) = id.into();
            Ok(())
        })
    }

    /// Lets other origins see what is meant for the URL's own.
    pub(crate) fn set_with_credentials(&self, with: bool) -> Result<(), Error> {
        self.set(|setup| {
            setup.options.with_credentials = with;
            self.with_credentials.store(with, SeqCst);
            Ok(())
        })
    }

    /// Lets items wait, up to so many, until the program takes them.
    pub(crate) fn set_queue(&self, capacity: usize) -> Result<(), Error> {
        self.set(|_| {
            if capacity == 0 {
                return Err(Error::Value);
            }
            if self.queue.get().is_none() {
                let queue = Queue::new(self.state.clone());
                let queue = queue.map_err(|_| Error::System)?;
                // By one thread only: the lock of the setup is held.
                let _ = self.queue.set(Arc::new(queue));
            }
            self.queue()?.set_capacity(capacity);
            Ok(())
        })
    }

    fn queue(&self) -> Result<&Arc<Queue>, Error> {
        self.queue.get().ok_or(Error::Queue)
    }

    pub(crate) fn with_credentials(&self) -> bool {
        self.with_credentials.load(SeqCst)
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Calls `on_event` for events of one type, from the next one on.
    /// Returns a number to remove it by.
    pub(crate) fn add_listener(
        &self,
        event_type: &str,
        on_event: OnEvent,
    ) -> Result<u64, Error> {
        if self.queue.get().is_some() {
            return Err(Error::Queue);
        }
        let mut listeners = lock(&self.listeners);
        let id = self.listeners_version.fetch_add(1, SeqCst) + 1;
        let event_type = event_type.as_bytes().into();
        let on_event = Arc::new(on_event);
        listeners.push(Listener { id, event_type, on_event });
        Ok(id)
    }

    pub(crate) fn remove_listener(&self, id: u64) -> Result<(), Error> {
        let mut listeners = lock(&self.listeners);
        let place = listeners.iter().position(|listener| listener.id == id);
        listeners.remove(place.ok_or(Error::Value)?);
        self.listeners_version.fetch_add(1, SeqCst);
        Ok(())
    }

    /// Starts the source's thread, whose callbacks may free the source before
    /// this returns.
    pub(crate) fn connect(self: Arc<Self>) -> Result<(), Error> {
        let mut setup = lock(&self.setup);
        if self.state.ready_state() == ReadyState::Closed {
            return Err(Error::Closed);
        }
        let settings = self.settings(&mut setup)?;
        if let Some(queue) = self.queue.get() {
            let listens = !lock(&self.listeners).is_empty();
            let hears_close = lock(&self.on_close).is_some();
            if settings.callbacks.tell() || listens || hears_close {
                return Err(Error::Queue);
            }
            let max = settings.options.max_event_size;
            queue.set_max_bytes(if max == 0 { usize::MAX } else { max });
        }
        self.state.arm().map_err(|_| Error::System)?;
        // On the program's thread, which knows whether another changes it.
        settings.options.network().read_environment();
        let (sender, receiver) = crossbeam_channel::bounded(0);
        let handle = self.clone();
        // Held until `thread` and `done` are set, so that a callback that
        // frees the source finds them.
        let mut thread = lock(&self.thread);
        let spawned = thread::Builder::new()
            .name("eventsource".into())
            .stack_size(STACK)
            .spawn(move || handle.live(sender));
        *thread = Some(spawned.map_err(|_| Error::System)?);
        let _ = self.done.set(receiver);
        Ok(())
    }

    /// The life of the thread.
    fn live(self: Arc<Self>, done: Sender<Infallible>) {
        // Not before `connect` has written down what there is to know of
        // this thread.
        drop(lock(&self.thread));
        CURRENT.set(Arc::as_ptr(&self));
        // Nothing is dead yet; but what finding the stack takes is free again
        // for what follows.
        sys::release_dead_stack();
        let mut source = self.source();
        let reason = catch(|| source.run()).unwrap_or_else(|| {
            let defect = Failure::new(Error::Internal, "defect of the library");
            let _ = catch(|| source.fail(&defect));
            Error::Internal
        });
        let _ = catch(|| self.report_close(reason));
        drop(source);
        drop(self);
        drop(done);
    }

    /// On the heap, and made by a call of its own: what it takes to make it
    /// does not stay on the stack for as long as the source lives.
    #[inline(never)]
    fn source(self: &Arc<Self>) -> Box<Source<Dispatcher>> {
        let setup = lock(&self.setup).take();
        let Setup { options, callbacks, comments } =
            setup.expect("a source connects once");
        let queue = self.queue.get().cloned();
        let queue = queue.map(|queue| Box::new(Writer::new(queue)));
        let comments = match queue {
            Some(_) => comments,
            None => callbacks.comment.is_some(),
        };
        let dispatcher = Dispatcher {
            handle: self.clone(),
            callbacks,
            listeners: Vec::new(),
            version: 0,
            queue,
        };
        let state = self.state.clone();
        let stats = self.stats.clone();
        Box::new(Source::new(options, comments, state, stats, dispatcher))
    }

    /// Calls `on_close`, or puts the last item, the first time.
    fn report_close(&self, reason: Error) {
        if let Some(queue) = self.queue.get() {
            queue.close(reason);
        }
        let on_close = lock(&self.on_close).take();
        if let Some(on_close) = on_close {
            on_close(reason);
        }
    }

    /// The callback that follows may free the source before this returns.
    pub(crate) fn close(self: Arc<Self>) {
        self.state.close();
        // The program need not wait for the thread to be told.
        if let Some(queue) = self.queue.get()
            && self.done.get().is_some()
            && !queue.belongs_to_parent_process()
        {
            queue.close(Error::None);
        }
    }

    /// The callbacks that follow may free the source before this returns.
    pub(crate) fn reconnect(self: Arc<Self>) -> Result<(), Error> {
        if self.state.ready_state() == ReadyState::Closed {
            return Err(Error::Closed);
        }
        if self.done.get().is_none() {
            return Err(Error::NotConnected);
        }
        // What waits of earlier connections changes the state no more.
        self.reconnects.fetch_add(1, SeqCst);
        let seen = self.seen.swap(ReadyState::Connecting as u8, SeqCst);
        if self.state.reconnect() {
            return Ok(());
        }
        self.seen.store(seen, SeqCst);
        Err(Error::Closed)
    }

    /// Takes the next item into `batch`, waiting for it until the timeout.
    pub(crate) fn next(
        &self,
        batch: &mut Batch,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        let queue = self.queue()?;
        let mut deadline = None;
        loop {
            match queue.take(batch) {
                Taken::Item => {
                    self.taken(batch);
                    return Ok(());
                }
                Taken::End => return Err(Error::Closed),
                Taken::Nothing => {}
            }
            if self.done.get().is_none() {
                let closed = self.state.closed_by_program();
                return Err(match closed {
                    true => Error::Closed,
                    false => Error::NotConnected,
                });
            }
            if self.is_current() {
                return Err(Error::Callback);
            }
            if queue.belongs_to_parent_process() {
                return Err(Error::System);
            }
            if timeout == Some(Duration::ZERO) {
                return Err(Error::Timeout);
            }
            // A time longer than the clock can count is one for ever.
            if deadline.is_none()
                && let Some(timeout) = timeout
            {
                deadline = Instant::now().checked_add(timeout);
            }
            match queue.wait(deadline) {
                Ok(true) => {}
                Ok(false) => return Err(Error::Timeout),
                Err(_) => return Err(Error::System),
            }
        }
    }

    /// Takes the next item if it is in `batch` already.
    pub(crate) fn take_more(&self, batch: &mut Batch) -> bool {
        let queue = self.queue.get();
        let more = queue.is_some_and(|queue| queue.take_more(batch));
        if more {
            self.taken(batch);
        }
        more
    }

    /// The source is now as of the item just taken.
    fn taken(&self, batch: &Batch) {
        if let Some(id) = batch.sets_last_event_id() {
            self.set_seen_last_event_id(id);
        }
        let Some(state) = batch.ready_state() else { return };
        let outdated = batch.reconnects != self.reconnects.load(SeqCst);
        if state == ReadyState::Closed || !outdated {
            self.seen.store(state as u8, SeqCst);
        }
    }

    fn set_seen_last_event_id(&self, id: Text<'_>) {
        let mut last = lock(&self.last_event_id);
        last.clear();
        last.extend_from_slice(id.bytes());
    }

    /// Readable while an item waits.
    pub(crate) fn fd(&self) -> Result<RawFd, Error> {
        Ok(self.queue()?.fd())
    }

    /// Waits until the last callback has returned, which may free the source.
    pub(crate) fn wait(
        self: Arc<Self>,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        if self.is_current() {
            return Err(Error::Callback);
        }
        let done = self.done.get().ok_or(Error::NotConnected)?;
        if self.state.belongs_to_parent_process() {
            return Err(Error::System);
        }
        let ended = match timeout {
            None => done.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(timeout) => done.recv_timeout(timeout),
        };
        match ended {
            Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout),
            Ok(never) => match never {},
        }
    }

    /// Closes the source, and waits for its thread. On that thread itself
    /// there is no waiting: the last callback is made here, and the thread
    /// ends by itself.
    pub(crate) fn free(self: Arc<Self>) {
        self.clone().close();
        let thread = lock(&self.thread).take();
        if self.is_current() {
            let reason = self.failed.get().copied();
            self.report_close(reason.unwrap_or(Error::None));
        } else if self.state.belongs_to_parent_process() {
            // fork(2) has copied no thread.
            mem::forget(thread);
        } else if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    /// Whether this is the source's own thread: a callback is under way.
    fn is_current(&self) -> bool {
        ptr::eq(CURRENT.get(), self)
    }

    /// The ready state, as far as the program has been told.
    pub(crate) fn ready_state(&self) -> ReadyState {
        if self.queue.get().is_none() || self.state.closed_by_program() {
            return self.state.ready_state();
        }
        ReadyState::from_raw(self.seen.load(SeqCst))
    }

    pub(crate) fn url(&self) -> &CStr {
        &self.url
    }

    /// Looks at the last event ID string.
    pub(crate) fn with_last_event_id<T>(
        &self,
        look: impl FnOnce(&[u8]) -> T,
    ) -> T {
        look(&lock(&self.last_event_id))
    }
}

/// A panic with a lock held leaves nothing half done: each is held for one
/// assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands what the source says to the program's callbacks, or to the queue.
struct Dispatcher {
    handle: Arc<Handle>,
    callbacks: Box<Callbacks>,
    /// A copy of the handle's, as of `version`.
    listeners: Vec<Listener>,
    version: u64,
    queue: Option<Box<Writer>>,
}

impl Dispatcher {
    /// Whether a callback may begin. An error is told of a source that has
    /// failed, but of none that the program has closed.
    fn silenced(&self) -> bool {
        self.handle.state.closed_by_program()
    }

    /// Tells whoever wants to know of `event`.
    // Not a part of the loop over the lines of the stream.
    #[inline(never)]
    fn tell_all(&mut self, event: &Event<'_>, origin: &CStr) {
        if let Some(queue) = &mut self.queue {
            return queue.event(event, origin);
        }
        if event.sets_last_event_id {
            self.handle.set_seen_last_event_id(event.last_event_id);
        }
        // A listener added from here on waits for the next event.
        let version = self.handle.listeners_version.load(SeqCst);
        if version != self.version {
            self.listeners.clone_from(&lock(&self.handle.listeners));
            self.version = version;
        }
        if let Some(on_event) = &self.callbacks.event {
            on_event(event, origin);
        }
        self.tell_listeners(event, origin);
    }

    /// Calls the listeners for the type of `event`.
    fn tell_listeners(&self, event: &Event<'_>, origin: &CStr) {
        for listener in &self.listeners {
            if *listener.event_type != *event.event_type.bytes()
                || self.removed(listener.id)
            {
                continue;
            }
            if self.handle.state.interrupted() {
                return;
            }
            (listener.on_event)(event, origin);
        }
    }

    /// Whether a listener of the copy has been removed meanwhile.
    fn removed(&self, id: u64) -> bool {
        self.handle.listeners_version.load(SeqCst) != self.version
            && !lock(&self.handle.listeners).iter().any(|it| it.id == id)
    }
}

impl Handler for Dispatcher {
    fn request(
        &mut self,
        request: Request,
        attempt: u64,
        failure: Option<&LastFailure>,
    ) -> Request {
        if let Some(queue) = &mut self.queue {
            queue.set_reconnects(self.handle.reconnects.load(SeqCst));
        }
        match &self.callbacks.request {
            Some(on_request) if !self.silenced() => {
                on_request(request, attempt, failure)
            }
            _ => request,
        }
    }

    fn retry(
        &mut self,
        failure: &Failure,
        plan: RetryPlan,
        wait: Duration,
    ) -> Option<Duration> {
        match &self.callbacks.retry {
            Some(on_retry) if !self.silenced() => on_retry(failure, plan, wait),
            _ => plan.delay,
        }
    }

    fn open(&mut self, response: &Response) {
        if let Some(queue) = &mut self.queue {
            return queue.open(response);
        }
        if let Some(on_open) = &self.callbacks.open
            && !self.silenced()
        {
            on_open(response);
        }
    }

    #[inline]
    fn event(&mut self, event: &Event<'_>, origin: &CStr) {
        let version = self.handle.listeners_version.load(SeqCst);
        // Most sources have no more, and most events need no more. Who has a
        // queue has no callback here.
        let only_on_event = self.listeners.is_empty()
            && version == self.version
            && !event.sets_last_event_id;
        match &self.callbacks.event {
            Some(on_event) if only_on_event => on_event(event, origin),
            _ => self.tell_all(event, origin),
        }
    }

    fn comment(&mut self, comment: Text<'_>) {
        if let Some(queue) = &mut self.queue {
            return queue.comment(comment);
        }
        if let Some(on_comment) = &self.callbacks.comment {
            on_comment(comment);
        }
    }

    fn pause(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.hand_over();
        }
    }

    fn last_event_id(&mut self, id: Text<'_>) {
        match &mut self.queue {
            Some(queue) => queue.last_event_id(id),
            None => self.handle.set_seen_last_event_id(id),
        }
    }

    fn error(&mut self, failure: &Failure, plan: RetryPlan) {
        if plan.delay.is_none() && failure.error != Error::TooLarge {
            // Once: nothing follows.
            let _ = self.handle.failed.set(failure.error);
        }
        if let Some(queue) = &mut self.queue {
            return queue.error(failure, plan);
        }
        if let Some(on_error) = &self.callbacks.error
            && !self.silenced()
        {
            on_error(failure, plan);
        }
    }
}
