//! Listeners for events of one type, which any thread may add and remove.

use std::ffi::CStr;
use std::mem;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::parser::Event;
use crate::sync::{lock, try_lock};

/// Called with each event, and its origin.
pub(crate) type OnEvent = Box<dyn Fn(&Event<'_>, &CStr) + Send + Sync>;

/// Called once, when a listener is called no more.
pub(crate) type OnRemoved = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Listener {
    id: u64,
    event_type: Box<[u8]>,
    on_event: OnEvent,
    on_removed: Option<OnRemoved>,
    /// Where `on_removed` is set: [`RUNS`] and [`REMOVED`].
    state: AtomicU8,
}

/// The source's thread is inside `on_event`, and calls `on_removed` behind it
/// if that is due.
const RUNS: u8 = 1;
/// It is called no more.
const REMOVED: u8 = 2;

impl Listener {
    /// On the source's thread.
    pub(crate) fn call(&self, event: &Event<'_>, origin: &CStr) {
        let Some(on_removed) = &self.on_removed else {
            return (self.on_event)(event, origin);
        };
        if self.state.fetch_or(RUNS, SeqCst) & REMOVED > 0 {
            // Whoever has removed it found that it did not run.
            return;
        }
        (self.on_event)(event, origin);
        if self.state.fetch_and(!RUNS, SeqCst) & REMOVED > 0 {
            on_removed();
        }
    }

    /// On any thread that holds no lock; only the first time counts.
    fn remove(&self) {
        let Some(on_removed) = &self.on_removed else { return };
        if self.state.fetch_or(REMOVED, SeqCst) == 0 {
            on_removed();
        }
    }
}

/// The listeners of a source.
#[derive(Default)]
pub(crate) struct Listeners {
    list: Mutex<Vec<Arc<Listener>>>,
    /// Changes with every change of `list`; also the last id given.
    version: AtomicU64,
}

impl Listeners {
    /// Adds a listener, and returns a number to remove it by.
    pub(crate) fn add(
        &self,
        event_type: &str,
        on_event: OnEvent,
        on_removed: Option<OnRemoved>,
    ) -> u64 {
        let mut list = lock(&self.list);
        let id = self.version.fetch_add(1, SeqCst) + 1;
        list.push(Arc::new(Listener {
            id,
            event_type: event_type.as_bytes().into(),
            on_event,
            on_removed,
            state: AtomicU8::new(0),
        }));
        id
    }

    pub(crate) fn remove(&self, id: u64) -> Result<(), Error> {
        let mut list = lock(&self.list);
        let place = list.iter().position(|listener| listener.id == id);
        let removed = list.remove(place.ok_or(Error::Value)?);
        self.version.fetch_add(1, SeqCst);
        drop(list);
        removed.remove();
        Ok(())
    }

    /// None is called any more: the source's thread is about to end, or there
    /// is none. They keep their numbers.
    pub(crate) fn end(&self) {
        let list = lock(&self.list).clone();
        list.iter().for_each(|listener| listener.remove());
    }

    /// In a child process, where the parent's lock may be held for ever: those
    /// who added listeners hear of them no more.
    pub(crate) fn abandon(&self) {
        if let Some(mut list) = try_lock(&self.list) {
            mem::forget(mem::take(&mut *list));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.list).is_empty()
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.end();
    }
}

/// A copy of the listeners for the source's thread, so that no lock is held
/// while one is called.
#[derive(Default)]
pub(crate) struct Snapshot {
    list: Vec<Arc<Listener>>,
    version: u64,
}

impl Snapshot {
    /// Whether there are no listeners, and none was added since.
    #[inline]
    pub(crate) fn is_empty_as_of(&self, listeners: &Listeners) -> bool {
        self.list.is_empty() && self.version == listeners.version.load(SeqCst)
    }

    /// Takes over what has changed.
    pub(crate) fn update(&mut self, listeners: &Listeners) {
        let version = listeners.version.load(SeqCst);
        if version != self.version {
            self.list.clone_from(&lock(&listeners.list));
            self.version = version;
        }
    }

    /// The listeners for `event`, in the order in which they were added; none
    /// that has been removed since.
    pub(crate) fn of<'a>(
        &'a self,
        event: &Event<'a>,
        listeners: &'a Listeners,
    ) -> impl Iterator<Item = &'a Arc<Listener>> {
        let event_type = event.event_type.bytes();
        let of_the_type = self
            .list
            .iter()
            .filter(move |listener| *listener.event_type == *event_type);
        of_the_type.filter(|listener| !self.removed(listener.id, listeners))
    }

    fn removed(&self, id: u64, listeners: &Listeners) -> bool {
        listeners.version.load(SeqCst) != self.version
            && !lock(&listeners.list).iter().any(|it| it.id == id)
    }
}
