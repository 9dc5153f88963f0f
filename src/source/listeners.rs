//! Listeners for events of one type, which any thread may add and remove.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::parser::Event;
use crate::sync::lock;

/// Called with each event, and its origin.
pub(crate) type OnEvent = Box<dyn Fn(&Event<'_>, &CStr) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Listener {
    id: u64,
    event_type: Box<[u8]>,
    pub(crate) on_event: Arc<OnEvent>,
}

/// The listeners of a source.
#[derive(Default)]
pub(crate) struct Listeners {
    list: Mutex<Vec<Listener>>,
    /// Changes with every change of `list`; also the last id given.
    version: AtomicU64,
}

impl Listeners {
    /// Adds a listener, and returns a number to remove it by.
    pub(crate) fn add(&self, event_type: &str, on_event: OnEvent) -> u64 {
        let mut list = lock(&self.list);
        let id = self.version.fetch_add(1, SeqCst) + 1;
        let event_type = event_type.as_bytes().into();
        let on_event = Arc::new(on_event);
        list.push(Listener { id, event_type, on_event });
        id
    }

    pub(crate) fn remove(&self, id: u64) -> Result<(), Error> {
        let mut list = lock(&self.list);
        let place = list.iter().position(|listener| listener.id == id);
        // Dropped with the lock released: what it captured is the program's.
        let removed = list.remove(place.ok_or(Error::Value)?);
        self.version.fetch_add(1, SeqCst);
        drop(list);
        drop(removed);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.list).is_empty()
    }
}

/// A copy of the listeners for the source's thread, so that no lock is held
/// while one is called.
#[derive(Default)]
pub(crate) struct Snapshot {
    list: Vec<Listener>,
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
    ) -> impl Iterator<Item = &'a Listener> {
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
