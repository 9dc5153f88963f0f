//! A source as the program holds it, on any thread: settings, connect, close,
//! wait, free, and the items of a queue.

use std::cell::Cell;
use std::ffi::CStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::failure::Failure;
use crate::http::buffer::Buffer;
use crate::http::exchange;
use crate::memory::joined;
use crate::net::trust::Trust;
use crate::panic::catch;
use crate::parser::Id;
use crate::pool::User;
use crate::settings::options::Options;
use crate::settings::request::is_last_event_id;
use crate::source::batch::Batch;
use crate::source::driven::Driven;
use crate::source::driver;
use crate::source::event_loop::{After, Hands, Life, Loop, Member, Why};
use crate::source::handler::{Handler, Questions};
use crate::source::life::Source;
#[cfg(feature = "http2")]
use crate::source::lines::News;
use crate::source::listeners::{OnEvent, OnRemoved};
use crate::source::pull::PullHandler;
use crate::source::push::{Callbacks, PushHandler};
use crate::source::queue::{Left, Queue, Writer};
use crate::source::shared::Shared;
use crate::state::ReadyState;
use crate::stats::Stats;
use crate::sync::{CopyOnWrite, lock, try_lock};
use crate::sys::{self, Wake};
use crate::url::HttpUrl;

pub(crate) type OnClose = Box<dyn FnOnce(Error) + Send>;

/// What the program sets until it connects.
pub(crate) struct Setup {
    pub(crate) options: CopyOnWrite<Options>,
    pub(crate) callbacks: Box<Callbacks>,
    pub(crate) questions: Questions,
    /// Whether comments go into the queue.
    pub(crate) comments: bool,
    /// Bytes of the stack that callbacks run on, unless the default is to do.
    stack: Option<usize>,
    /// What is to drive the source, in the place of a thread of its own.
    pub(crate) event_loop: Option<Arc<Loop>>,
    /// The calls that were refused, each as it was made last, the first one
    /// first.
    refused: Vec<(Setter, Error)>,
}

/// A call that changes a setting. Another one that is equal takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setter {
    function: &'static str,
    /// Of which it is one of many: the name of a header, as a number.
    of: u64,
}

impl Setter {
    pub(crate) fn new(function: &'static str) -> Setter {
        Setter { function, of: 0 }
    }

    /// Sets one header of many. A program may give thousands of names, of any
    /// length: what is kept of each is small.
    pub(crate) fn of_header(function: &'static str, name: &[u8]) -> Setter {
        let mut hasher = DefaultHasher::new();
        name.iter().for_each(|it| it.to_ascii_lowercase().hash(&mut hasher));
        Setter { function, of: hasher.finish() }
    }
}

impl Setup {
    /// Remembers a call that was refused, and forgets one that this call has
    /// made good.
    fn remember(&mut self, setter: Setter, result: Result<(), Error>) {
        let known = self.refused.iter().position(|it| it.0 == setter);
        match (known, result) {
            (None, Ok(())) => {}
            (None, Err(error)) => self.refused.push((setter, error)),
            (Some(index), Ok(())) => drop(self.refused.remove(index)),
            (Some(index), Err(error)) => self.refused[index].1 = error,
        }
    }

    /// Sets how many bytes of stack callbacks have; 0 is the default.
    pub(crate) fn set_stack_size(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > 0 && bytes < sys::LEAST_STACK {
            return Err(Error::Value);
        }
        self.stack = (bytes > 0).then_some(bytes);
        Ok(())
    }
}

/// A source, as the program holds it. Where a lock is taken inside another,
/// the outer one stands further up.
pub(crate) struct Handle {
    // Set once.
    shared: Arc<Shared>,
    /// In pull mode: what waits for the program to take it.
    queue: OnceLock<Arc<Queue>>,
    /// If a loop drives the source, from `connect` on.
    member: OnceLock<Member>,

    // Written by the program's threads.
    /// The source has been connected.
    connected: AtomicBool,
    /// How many calls of `close` are under way: those hold nothing else that
    /// would keep the source from being released.
    closing: AtomicUsize,
    /// Taken by the source's thread; apart, as it is not needed for long.
    setup: Mutex<Option<Box<Setup>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    with_credentials: AtomicBool,
    /// In pull mode: the ready state as of the item last taken.
    seen: AtomicU8,

    /// Taken by whoever calls it, the source's thread or one that frees, so
    /// that it is called once.
    on_close: Mutex<Option<OnClose>>,
}

thread_local! {
    /// The source whose thread this is.
    static CURRENT: Cell<*const Handle> = const { Cell::new(ptr::null()) };
}

impl Handle {
    pub(crate) fn new(url: &str) -> Result<Handle, Error> {
        let url = HttpUrl::parse(url)?;
        let setup = Box::new(Setup {
            options: CopyOnWrite::new(Options::default_ones()),
            callbacks: Box::default(),
            questions: Questions::default(),
            comments: false,
            stack: None,
            event_loop: None,
            refused: Vec::new(),
        });
        Ok(Handle {
            shared: Arc::new(Shared::new(&url)),
            queue: OnceLock::new(),
            member: OnceLock::new(),
            connected: AtomicBool::new(false),
            closing: AtomicUsize::new(0),
            setup: Mutex::new(Some(setup)),
            thread: Mutex::default(),
            with_credentials: AtomicBool::new(false),
            seen: AtomicU8::new(ReadyState::Connecting as u8),
            on_close: Mutex::default(),
        })
    }

    /// Changes a setting; refused once the source has been connected.
    pub(crate) fn set(
        &self,
        change: impl FnOnce(&mut Setup) -> Result<(), Error>,
    ) -> Result<(), Error> {
        change(self.settings(&mut lock(&self.setup))?)
    }

    /// Has `change` make a setting; if that is refused, so is the connection,
    /// unless a later call of the same setter is not.
    pub(crate) fn setting(
        &self,
        setter: Setter,
        change: impl FnOnce(&Handle) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let result = change(self);
        if let Ok(setup) = self.settings(&mut lock(&self.setup)) {
            setup.remember(setter, result);
        }
        result
    }

    /// Whether the next [`Handle::set`] changes anything, for those who
    /// prepare much for it.
    pub(crate) fn check_settable(&self) -> Result<(), Error> {
        self.set(|_| Ok(()))
    }

    /// What may be set, unless the source has been connected.
    fn settings<'a>(
        &self,
        setup: &'a mut Option<Box<Setup>>,
    ) -> Result<&'a mut Setup, Error> {
        let setup = setup.as_deref_mut().filter(|_| !self.is_connected());
        setup.ok_or(Error::AlreadyConnected)
    }

    /// Changes whom TLS trusts.
    pub(crate) fn set_trust(
        &self,
        change: impl FnOnce(&mut Trust),
    ) -> Result<(), Error> {
        self.set(|setup| {
            change(&mut setup.options.network().trust);
            Ok(())
        })
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
        self.set(|_| {
            if !is_last_event_id(id) {
                return Err(Error::Value);
            }
            let id = joined(&[id.as_bytes(), b"\0"])?;
            self.shared.replace_last_event_id(id);
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
                let queue = Queue::new(self.shared.state.clone());
                let queue = queue.map_err(|_| Error::System)?;
                // By one thread only: the lock of the setup is held.
                let _ = self.queue.set(Arc::new(queue));
            }
            self.queue()?.set_capacity(capacity);
            Ok(())
        })
    }

    fn is_connected(&self) -> bool {
        self.connected.load(SeqCst)
    }

    fn queue(&self) -> Result<&Arc<Queue>, Error> {
        self.queue.get().ok_or(Error::Queue)
    }

    pub(crate) fn with_credentials(&self) -> bool {
        self.with_credentials.load(SeqCst)
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Calls `on_event` for events of one type, from the next one on.
    /// Returns a number to remove it by.
    pub(crate) fn add_listener(
        &self,
        event_type: &str,
        on_event: OnEvent,
        on_removed: Option<OnRemoved>,
    ) -> Result<u64, Error> {
        if self.queue.get().is_some() {
            return Err(Error::Queue);
        }
        Ok(self.shared.listeners.add(event_type, on_event, on_removed))
    }

    pub(crate) fn remove_listener(&self, id: u64) -> Result<(), Error> {
        self.shared.listeners.remove(id)
    }

    /// Starts the source's thread, whose callbacks may free the source before
    /// this returns.
    pub(crate) fn connect(self: Arc<Self>) -> Result<(), Error> {
        let mut setup = lock(&self.setup);
        if self.shared.state.ready_state() == ReadyState::Closed {
            return Err(Error::Closed);
        }
        let settings = self.settings(&mut setup)?;
        if let Some(&(Setter { function, .. }, error)) =
            settings.refused.first()
        {
            let url = self.shared.url().loggable().to_string();
            // A log callback may set something.
            drop(setup);
            let text = error.text().to_string_lossy();
            log::error!("{url}: {function} was refused: {text}");
            return Err(error);
        }
        if let Some(queue) = self.queue.get() {
            if queue.belongs_to_parent_process() {
                return Err(Error::System);
            }
            let called = !settings.callbacks.is_empty()
                || !self.shared.listeners.is_empty()
                || lock(&self.on_close).is_some();
            if called {
                return Err(Error::Queue);
            }
            let max = settings.options.max_event_size;
            queue.set_max_bytes(if max == 0 { usize::MAX } else { max });
        }
        // On the program's thread, which knows whether another changes it.
        exchange::read_environment();
        if let Some(changed) = settings.options.network.read_environment() {
            settings.options.network().set_environment(changed);
        }
        if let Some(event_loop) = settings.event_loop.clone() {
            return self.join(&event_loop, setup);
        }
        let wake = Arc::new(Wake::new().map_err(|_| Error::System)?);
        let handle = self.clone();
        // Held until `thread` and `connected` are set, so that a callback that
        // frees the source finds them.
        let mut thread = lock(&self.thread);
        let stack = settings.stack.unwrap_or_else(sys::default_stack);
        let spawned = sys::spawn("eventsource", stack, move || handle.live());
        *thread = Some(spawned.map_err(|_| Error::System)?);
        self.shared.state.arm(wake);
        self.now_connected();
        Ok(())
    }

    fn now_connected(&self) {
        self.connected.store(true, SeqCst);
        if let Some(queue) = self.queue.get()
            && self.shared.state.closed_by_program()
        {
            // By a close that came before there was anything to announce.
            queue.announce_close();
        }
    }

    /// Connects on a loop, whose callbacks may free the source before this
    /// returns.
    fn join(
        self: &Arc<Self>,
        event_loop: &Arc<Loop>,
        mut setup: MutexGuard<'_, Option<Box<Setup>>>,
    ) -> Result<(), Error> {
        if self.queue.get().is_some() && !event_loop.is_started() {
            return Err(Error::Queue);
        }
        let member = event_loop.join(|bell| {
            self.shared.state.arm_loop(bell.clone());
            let handle = self.clone();
            match self.queue.get() {
                None => OnLoop::life(handle, *self.push_source(&mut setup)),
                Some(queue) => {
                    let source = self.pull_source(&mut setup, queue, false);
                    OnLoop::life(handle, *source)
                }
            }
        })?;
        // Nobody else connects: the lock of the setup is held.
        let member = self.member.get_or_init(|| member);
        self.now_connected();
        // Now, so that callbacks find what there is to know.
        member.ring();
        Ok(())
    }

    /// The life of the thread.
    fn live(self: Arc<Self>) {
        /// Reached also if the thread panics.
        struct Reach(Arc<Shared>);
        impl Drop for Reach {
            fn drop(&mut self) {
                self.0.end.reach();
            }
        }
        let end = Reach(self.shared.clone());
        let user = Connected::new();
        // Not before `connect` has written down what there is to know of
        // this thread.
        drop(lock(&self.thread));
        CURRENT.set(Arc::as_ptr(&self));
        // Called early so that the stack's bounds are looked up now: the memory
        // that glibc needs for it can be reused by what follows.
        sys::release_dead_stack();
        match self.queue.get() {
            None => {
                let source = self.push_source(&mut lock(&self.setup));
                self.drive(source);
            }
            Some(queue) => {
                let source =
                    self.pull_source(&mut lock(&self.setup), queue, true);
                self.drive(source);
            }
        }
        drop(self);
        drop(user);
        drop(end);
    }

    /// Lives the source's life, and reports its end.
    fn drive<H: Handler>(&self, mut source: Box<Source<H>>) {
        let reason = catch(|| driver::drive(&mut source, &self.shared.state))
            .unwrap_or_else(|| {
                let message = "defect of the library";
                let defect = Failure::new(Error::Internal, message);
                let _ = catch(|| drop(source.fail(&defect)));
                Error::Internal
            });
        let _ = catch(|| self.report_close(reason));
        // After `on_close`, in which the program may remove them itself.
        let _ = catch(|| self.shared.listeners.end());
    }

    /// On the heap, and made by a call of its own: what it takes to make it
    /// does not stay on the stack for as long as the source lives.
    #[inline(never)]
    fn push_source(
        &self,
        setup: &mut Option<Box<Setup>>,
    ) -> Box<Source<PushHandler>> {
        let setup = setup.take().expect("a source connects once");
        let Setup { options, callbacks, questions, .. } = *setup;
        let comments = callbacks.comment.is_some();
        let shared = self.shared.clone();
        let handler = PushHandler::new(shared.clone(), callbacks, questions);
        Box::new(Source::new(shared, options.share(), comments, handler))
    }

    /// As [`push_source`](Handle::push_source), with a queue.
    #[inline(never)]
    fn pull_source(
        &self,
        setup: &mut Option<Box<Setup>>,
        queue: &Arc<Queue>,
        may_wait: bool,
    ) -> Box<Source<PullHandler>> {
        let setup = setup.take().expect("a source connects once");
        let Setup { options, questions, comments, .. } = *setup;
        let shared = self.shared.clone();
        let queue = Writer::new(queue.clone());
        let handler =
            PullHandler::new(shared.clone(), questions, queue, may_wait);
        Box::new(Source::new(shared, options.share(), comments, handler))
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
    ///
    /// For signal handlers, too: no lock is taken, no memory allocated or
    /// released, and no thread-local variable touched, which the C library may
    /// have to allocate.
    pub(crate) fn close(&self) {
        sys::keep_errno(|| {
            self.closing.fetch_add(1, SeqCst);
            self.shared.state.close();
            // The program learns of the close at once, whatever the thread
            // does.
            if let Some(queue) = self.queue.get()
                && self.is_connected()
                && !queue.belongs_to_parent_process()
            {
                queue.announce_close();
            }
            // The last that is touched of the source.
            self.closing.fetch_sub(1, SeqCst);
        });
    }

    /// The callbacks that follow may free the source before this returns.
    pub(crate) fn reconnect(self: Arc<Self>) -> Result<(), Error> {
        if self.shared.state.ready_state() == ReadyState::Closed {
            return Err(Error::Closed);
        }
        if !self.is_connected() {
            return Err(Error::NotConnected);
        }
        if self.belongs_to_parent_process() {
            return Err(Error::System);
        }
        // Items that wait from earlier connections no longer change the state.
        self.shared.count_reconnect();
        let seen = self.seen.swap(ReadyState::Connecting as u8, SeqCst);
        if self.shared.state.reconnect() {
            return Ok(());
        }
        self.seen.store(seen, SeqCst);
        Err(Error::Closed)
    }

    /// Sees to it that an item is left in `batch`, waiting for one until the
    /// timeout; so many will be taken, if there are.
    #[inline]
    pub(crate) fn fill(
        &self,
        batch: &mut Batch,
        timeout: Option<Duration>,
        items: usize,
    ) -> Result<&Queue, Error> {
        let queue = self.queue()?;
        if !queue.has_left(batch) {
            self.wait_for_items(queue, batch, timeout, items)?;
        }
        Ok(queue)
    }

    /// Whether an item is left in `batch`.
    #[inline]
    pub(crate) fn has_left(&self, batch: &Batch) -> bool {
        self.queue().is_ok_and(|queue| queue.has_left(batch))
    }

    #[inline(never)]
    fn wait_for_items(
        &self,
        queue: &Queue,
        batch: &mut Batch,
        timeout: Option<Duration>,
        items: usize,
    ) -> Result<(), Error> {
        if !self.is_connected() {
            return Err(match self.shared.state.closed_by_program() {
                true => Error::Closed,
                false => Error::NotConnected,
            });
        }
        let mut deadline = None;
        loop {
            match queue.fill(batch, items) {
                Left::Items => return Ok(()),
                Left::End => return Err(Error::Closed),
                Left::Nothing => {}
            }
            if self.is_current() || self.is_on_loop_of_this_thread() {
                return Err(Error::Callback);
            }
            if let Some(timeout) = timeout {
                // By the clock, whatever has made the descriptor readable.
                let now = Instant::now();
                // A time longer than the clock can count is one for ever.
                let end =
                    deadline.get_or_insert_with(|| now.checked_add(timeout));
                if end.is_some_and(|end| now >= end) {
                    return Err(Error::Timeout);
                }
            }
            if queue.wait(deadline.flatten()).is_err() {
                return Err(Error::System);
            }
        }
    }

    /// Takes the next item of `batch`: the source is as of that from here on.
    /// If it is not the last of those that are taken at once, nobody can look at
    /// a last event ID string that the item behind it changes again.
    pub(crate) fn step(&self, batch: &mut Batch, is_last: bool) {
        batch.step();
        let is_seen =
            is_last || batch.is_rare() || !batch.next_sets_last_event_id();
        if is_seen && let Some((id, shared)) = batch.sets_last_event_id() {
            self.shared.take_last_event_id(id, shared);
        }
        let Some(state) = batch.ready_state() else { return };
        let outdated = batch.reconnects != self.shared.reconnects();
        if state == ReadyState::Closed || !outdated {
            self.seen.store(state as u8, SeqCst);
        }
    }

    /// Readable while an item waits.
    pub(crate) fn fd(&self) -> Result<RawFd, Error> {
        let queue = self.queue()?;
        match queue.belongs_to_parent_process() {
            true => Err(Error::System),
            false => Ok(queue.fd()),
        }
    }

    /// Waits until the last callback has returned, which may free the source.
    pub(crate) fn wait(
        self: Arc<Self>,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        if self.belongs_to_parent_process() {
            return Err(Error::System);
        }
        if self.is_current() {
            return Err(Error::Callback);
        }
        if !self.is_connected() {
            return Err(Error::NotConnected);
        }
        let shared = self.shared.clone();
        if let Some(member) = self.member.get() {
            let event_loop = member.event_loop.clone();
            drop(self);
            return event_loop.wait(&shared.end, timeout);
        }
        drop(self);
        if shared.end.wait(timeout) { Ok(()) } else { Err(Error::Timeout) }
    }

    /// Closes the source, and waits for its thread, or takes it out of its
    /// loop. In one of its callbacks there is no waiting: the last callback is
    /// made here, and the thread, or the turn, ends by itself.
    pub(crate) fn free(self: Arc<Self>) {
        self.close();
        if self.belongs_to_parent_process() {
            self.shared.listeners.abandon();
            return self.let_go();
        }
        let thread = lock(&self.thread).take();
        if self.is_current() {
            let reason = self.shared.failed();
            self.report_close(reason.unwrap_or(Error::None));
        } else {
            if let Some(member) = self.member.get() {
                member.leave(Error::None);
            } else if let Some(thread) = thread {
                let _ = thread.join();
            }
            // Those of a source that was not connected, or had ended.
            self.shared.listeners.end();
        }
    }

    /// Frees the parent's source in a child process. fork(2) has copied one
    /// thread: the source's may be missing, what it held is held for ever, and
    /// a lock that somebody held is locked.
    fn let_go(self: Arc<Self>) {
        match try_lock(&self.thread) {
            // To detach a thread that is not there would be undefined.
            Some(mut thread) => mem::forget(thread.take()),
            None => mem::forget(self.clone()),
        }
    }

    /// Whether this process was forked from the one that connected the source,
    /// or made its queue: the source's thread is not here, and what others
    /// wake it by is not ours to write to.
    pub(crate) fn belongs_to_parent_process(&self) -> bool {
        match self.queue.get() {
            // Made before the source was connected.
            Some(queue) => queue.belongs_to_parent_process(),
            None => self.shared.state.belongs_to_parent_process(),
        }
    }

    /// Whether a callback of the source is under way on this thread.
    fn is_current(&self) -> bool {
        ptr::eq(CURRENT.get(), self)
            || self.member.get().is_some_and(|it| it.is_in_turn_here())
    }

    /// Whether this thread drives the source's loop: while it waits, nothing
    /// happens to the source.
    fn is_on_loop_of_this_thread(&self) -> bool {
        let member = self.member.get();
        member.is_some_and(|it| it.event_loop.is_driven_here())
    }

    /// The ready state, as far as the program has been told.
    pub(crate) fn ready_state(&self) -> ReadyState {
        if self.queue.get().is_none() || self.shared.state.closed_by_program() {
            return self.shared.state.ready_state();
        }
        ReadyState::from_raw(self.seen.load(SeqCst))
    }

    pub(crate) fn url(&self) -> &CStr {
        self.shared.url_for_c()
    }

    /// The last event ID string, for one who keeps it.
    pub(crate) fn last_event_id(&self) -> Id {
        self.shared.last_event_id()
    }

    /// Looks at the last event ID string.
    pub(crate) fn with_last_event_id<T>(
        &self,
        look: impl FnOnce(&[u8]) -> T,
    ) -> T {
        self.shared.with_last_event_id(look)
    }
}

/// A source in a loop.
struct OnLoop<H> {
    driven: Driven<H>,
    handle: Arc<Handle>,
    _user: Connected,
}

impl<H: Handler + 'static> OnLoop<H> {
    fn life(handle: Arc<Handle>, source: Source<H>) -> Box<dyn Life> {
        let driven = Driven::new(source);
        Box::new(OnLoop { driven, handle, _user: Connected::new() })
    }
}

impl<H: Handler> Life for OnLoop<H> {
    fn turn(&mut self, why: Why, hands: &mut Hands<'_>) -> After {
        self.driven.turn(why, hands)
    }

    #[cfg(feature = "http2")]
    fn told(&mut self, news: News<'_, '_>, hands: &mut Hands<'_>) -> After {
        self.driven.told(news, hands)
    }

    fn broken(&mut self) -> Error {
        self.driven.broken()
    }

    fn over(&mut self, reason: Error) {
        let _ = catch(|| self.handle.report_close(reason));
        let _ = catch(|| self.handle.shared.listeners.end());
        self.handle.shared.end.reach();
    }

    fn close(&mut self) {
        self.handle.close();
    }
}

/// A source that is connected, for the sake of the pools.
struct Connected(Option<User>);

impl Connected {
    fn new() -> Connected {
        Connected(Some(User::new()))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if self.0.take().is_some_and(User::leaves_last) {
            Buffer::empty_pool();
            Batch::empty_pool();
        }
    }
}

impl Drop for Handle {
    /// Nobody holds the source any more, but a `close` that has led to this may
    /// not have returned yet.
    fn drop(&mut self) {
        let mut pause = Duration::ZERO;
        // In a child process it never will.
        while self.closing.load(SeqCst) > 0 && !self.belongs_to_parent_process()
        {
            // Not yielding alone: this thread may be of a higher priority.
            thread::sleep(pause);
            pause = Duration::from_micros(50);
        }
    }
}
