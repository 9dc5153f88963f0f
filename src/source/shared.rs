//! What a source's thread and the program's threads both touch.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use crate::error::Error;
use crate::failure::RetryPlan;
use crate::parser::{Id, Text};
use crate::source::end::End;
use crate::source::listeners::Listeners;
use crate::state::State;
use crate::stats::Stats;
use crate::sync::lock;
use crate::url::HttpUrl;

/// Of a URL as the URL Standard serializes it.
const SERIALIZED: &str = "a URL is ASCII once serialized, without a NUL";

/// The meeting place of the threads, by who writes what.
pub(crate) struct Shared {
    // Set once.
    /// As text, which takes the least memory of a source that waits.
    url: CString,

    // Written by any thread.
    pub(crate) state: Arc<State>,
    pub(crate) listeners: Listeners,
    /// How often the program has asked to reconnect.
    reconnects: AtomicU32,

    // Written by the source's thread.
    pub(crate) stats: Stats,
    /// Why the connection was failed, if it was.
    failed: OnceLock<Error>,
    /// Reached when the last callback has been made.
    pub(crate) end: End,

    /// The last event ID string, as of the event last dispatched: by the
    /// source's thread, or with a queue by the thread that takes from it.
    last_event_id: Mutex<Id>,
}

impl Shared {
    pub(crate) fn new(url: &HttpUrl) -> Shared {
        Shared {
            url: CString::new(url.as_str()).expect(SERIALIZED),
            state: Arc::default(),
            listeners: Listeners::default(),
            reconnects: AtomicU32::new(0),
            stats: Stats::default(),
            failed: OnceLock::new(),
            end: End::default(),
            last_event_id: Mutex::default(),
        }
    }

    pub(crate) fn url(&self) -> HttpUrl {
        HttpUrl::parse(self.url_text()).expect("parsed before")
    }

    pub(crate) fn url_text(&self) -> &str {
        self.url.to_str().expect(SERIALIZED)
    }

    pub(crate) fn url_for_c(&self) -> &CStr {
        &self.url
    }

    pub(crate) fn reconnects(&self) -> u32 {
        self.reconnects.load(SeqCst)
    }

    pub(crate) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, SeqCst);
    }

    /// Looks at the last event ID string.
    pub(crate) fn with_last_event_id<T>(
        &self,
        look: impl FnOnce(&[u8]) -> T,
    ) -> T {
        look(lock(&self.last_event_id).text().bytes())
    }

    /// The last event ID string, for another who keeps it.
    pub(crate) fn last_event_id(&self) -> Id {
        let last = lock(&self.last_event_id);
        let mut id = Id::default();
        // A small one, for which there is no memory, is empty there.
        let _ = id.keep(last.text(), last.shared());
        id
    }

    /// Sets the last event ID string to what `id` holds, with its NUL.
    pub(crate) fn replace_last_event_id(&self, id: Vec<u8>) {
        lock(&self.last_event_id).replace(id);
    }

    /// Sets the last event ID string to that of an event, which may be shared.
    pub(crate) fn take_last_event_id(
        &self,
        id: Text<'_>,
        shared: Option<&Arc<Vec<u8>>>,
    ) {
        // One for which there is no memory is empty here; the next attempt
        // sends it all the same.
        let _ = lock(&self.last_event_id).keep(id, shared);
    }

    /// Notes the failure that ends the source; what is only an event dropped
    /// ends nothing.
    pub(crate) fn note_failure(&self, error: Error, plan: RetryPlan) {
        if plan.delay.is_none() && error != Error::TooLarge {
            // Once: nothing follows.
            let _ = self.failed.set(error);
        }
    }

    pub(crate) fn failed(&self) -> Option<Error> {
        self.failed.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A URL that was parsed and serialized is parsed to the same.
    #[test]
    fn a_url_survives_as_text() {
        for url in [
            "HTTP://EXAMPLE.com:80",
            "https:\\\\u%20x:p@a@xn--mnchen-3ya.test:0443/./%2e%2e/a/../%2F?%00'#\t",
            "http://user@[::ffff:1.2.3.4]:8080//..//x?#",
            "http://0x7f.1/\u{fc}\u{1f600}?\u{fc}#\u{fc}",
            "http:b\u{fc}cher.test.///?a|b{c}`\"<>",
        ] {
            let url = HttpUrl::parse(url).expect("a URL");
            assert_eq!(Shared::new(&url).url(), url);
        }
    }
}
