//! How a listener learns that it is called no more.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ThreadId};

use eventsource::ffi::Error;
use support::callbacks::Callbacks;
use support::pointer::Pointer;
use support::seen::Event;
use support::server::{EVENT_STREAM, Server};
use support::source::{Handle, Seen, Source};
use support::{DEADLINE, promptly};

/// `on_removed` was called.
#[derive(Debug, PartialEq)]
struct Removed {
    on: ThreadId,
    /// Inside the listener.
    inside: bool,
}

type Action = Box<dyn Fn(Pointer) + Send + Sync>;

struct Told {
    action: Action,
    runs: AtomicBool,
    removed: Mutex<Sender<Removed>>,
}

impl Callbacks for Told {
    fn on_event(&self, source: Pointer, _: Event) {
        self.runs.store(true, SeqCst);
        (self.action)(source);
        self.runs.store(false, SeqCst);
    }

    fn on_removed(&self) {
        let on = thread::current().id();
        let inside = self.runs.load(SeqCst);
        self.removed.lock().unwrap().send(Removed { on, inside }).unwrap();
    }
}

/// Adds a listener for messages that is told; its number, and what it is told.
/// The end of the channel is kept, so that a second word would be seen.
fn listen(
    source: Handle,
    action: impl Fn(Pointer) + Send + Sync + 'static,
) -> (u64, Receiver<Removed>) {
    let (sender, removed) = mpsc::channel();
    let told = Box::leak(Box::new(Told {
        action: Box::new(action),
        runs: AtomicBool::new(false),
        removed: Mutex::new(sender),
    }));
    let mut id = 0;
    let error = source.add_told_listener("message", told, Some(&mut id));
    assert_eq!(error, Error::None);
    (id, removed)
}

fn removed(removed: &Receiver<Removed>) -> Removed {
    removed.recv_timeout(DEADLINE).expect("a listener that is told")
}

/// So it is told in a moment when it does not run.
#[track_caller]
fn is_removed_here(told: &Receiver<Removed>) {
    let here = Removed { on: thread::current().id(), inside: false };
    assert_eq!(told.try_recv(), Ok(here), "before the call returns");
    assert!(told.try_recv().is_err(), "once");
}

/// Listeners: one that does not run is told before the call that removes it
/// returns, on the same thread, whether the source is connected or not.
#[test]
fn a_listener_that_does_not_run_is_told_at_once() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let (id, told) = listen(source.handle(), |_| {});
    let (later, told_later) = listen(source.handle(), |_| {});
    assert_eq!(source.unlisten(id), Error::None);
    is_removed_here(&told);
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    connection.send("data: x\n\n");
    source.message("x");
    assert!(told_later.try_recv().is_err());
    connection.send("data: y\n\n");
    source.message("y");
    // The listener may be running by now.
    assert_eq!(source.unlisten(later), Error::None);
    assert!(!removed(&told_later).inside);
    assert_eq!(source.unlisten(later), Error::Value);
    drop(source);
    assert!(told_later.try_recv().is_err(), "once");
}

/// Listeners: one that removes itself is told when it has returned.
#[test]
fn a_listener_that_removes_itself_is_told_when_it_has_returned() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let (sender, id) = mpsc::channel();
    let id = Mutex::new(id);
    let own = move |source: Pointer| {
        let id = id.lock().unwrap().recv().expect("its number");
        assert_eq!(source.unlisten(id), Error::None);
    };
    let (id, told) = listen(source.handle(), own);
    sender.send(id).unwrap();
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    connection.send("data: x\n\n");
    source.message("x");
    let Removed { on, inside } = removed(&told);
    assert!(!inside);
    assert_ne!(on, thread::current().id());
    // It is not called again.
    connection.send("data: y\n\n");
    source.message("y");
    drop(source);
    assert!(told.try_recv().is_err(), "once");
}

/// Listeners: one that is removed while it runs, on another thread, is told
/// when it has returned; the call that removes it does not wait for that.
#[test]
fn a_listener_that_runs_is_told_when_it_has_returned() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let (runs, is_running) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (id, told) = listen(source.handle(), move |_| {
        runs.send(()).unwrap();
        wait.lock().unwrap().recv_timeout(DEADLINE).expect("the test");
    });
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    connection.send("data: x\n\n");
    source.message("x");
    is_running.recv_timeout(DEADLINE).expect("the listener");
    let handle = source.handle();
    let error = promptly("remove", move || handle.unlisten(id));
    assert_eq!(error, Error::None);
    assert!(told.try_recv().is_err(), "it still runs");
    go_on.send(()).unwrap();
    let Removed { on, inside } = removed(&told);
    assert!(!inside);
    assert_ne!(on, thread::current().id());
    connection.send("data: y\n\n");
    source.message("y");
    drop(source);
    assert!(told.try_recv().is_err(), "once");
}

/// Listeners: those that stay until the end are told on the source's thread,
/// behind `on_close`, and before anybody has waited for the end.
#[test]
fn listeners_are_told_of_the_end() {
    let server = Server::start();
    let (sender, closed) = mpsc::channel();
    let source = Source::new(&server.url("/")).doing(move |seen, _| {
        if let Seen::Close(_) = seen {
            sender.send(thread::current().id()).unwrap();
        }
    });
    let (id, told) = listen(source.handle(), |_| {});
    let source = source.start();
    server.accept().answer("204 No Content", "");
    source.failed(Error::Status);
    assert_eq!(source.wait(10_000), Error::None);
    let on = closed.try_recv().expect("a close");
    assert_eq!(told.try_recv(), Ok(Removed { on, inside: false }));
    // It can be removed all the same, and hears nothing of it.
    assert_eq!(source.unlisten(id), Error::None);
    // One that comes too late is told by free.
    let (_, late) = listen(source.handle(), |_| {});
    let handle = source.handle();
    assert!(late.try_recv().is_err());
    handle.free();
    is_removed_here(&late);
    drop(source);
    assert!(told.try_recv().is_err(), "once");
}

/// Listeners: those of a source that was never connected are told by free.
#[test]
fn listeners_of_a_source_that_was_not_connected_are_told() {
    let source = Handle::bare("http://127.0.0.1/");
    let (_, told) = listen(source, |_| {});
    source.free();
    is_removed_here(&told);
}

/// Listeners: the source may be freed inside one of them, and they are told
/// when it has returned.
#[test]
fn listeners_are_told_when_one_of_them_has_freed_the_source() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let handle = source.handle();
    let (first, told_first) = listen(handle, |_| {});
    let (_, told) = listen(handle, move |_| {
        assert_eq!(handle.unlisten(first), Error::None);
        handle.free();
    });
    let (_, told_last) = listen(handle, |_| panic!("the source was freed"));
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    source.message("x");
    source.closed(Error::None);
    let threads = [told_first, told, told_last].map(|told| {
        let Removed { on, inside } = removed(&told);
        assert!(!inside);
        on
    });
    assert!(threads.iter().all(|on| *on == threads[0]));
}

/// Listeners: one that was added twice is called twice, and told twice.
#[test]
fn a_listener_that_was_added_twice_is_called_and_told_twice() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let (sender, told) = mpsc::channel();
    let (called, calls) = mpsc::channel();
    let listener = Box::leak(Box::new(Told {
        action: Box::new(move |_| called.send(()).unwrap()),
        runs: AtomicBool::new(false),
        removed: Mutex::new(sender),
    }));
    let mut ids = [0; 2];
    for id in &mut ids {
        let error = source.add_told_listener("message", listener, Some(id));
        assert_eq!(error, Error::None);
    }
    assert_ne!(ids[0], ids[1]);
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    source.message("x");
    for _ in ids {
        calls.recv_timeout(DEADLINE).expect("a call");
    }
    assert_eq!(source.unlisten(ids[0]), Error::None);
    // The other one, of the same name here, may still run.
    removed(&told);
    source.close();
    assert_eq!(source.skip_to_close(), Error::None);
    drop(source);
    assert!(!removed(&told).inside);
    assert!(told.try_recv().is_err());
    assert!(calls.try_recv().is_err());
}

/// Listeners: one that was not added is not told.
#[test]
fn a_listener_that_was_not_added_is_not_told() {
    let source = Handle::bare("http://127.0.0.1/");
    assert_eq!(source.set_queue(1), Error::None);
    let (sender, told) = mpsc::channel();
    let listener = Box::leak(Box::new(Told {
        action: Box::new(|_| {}),
        runs: AtomicBool::new(false),
        removed: Mutex::new(sender),
    }));
    let error = source.add_told_listener("message", listener, None);
    assert_eq!(error, Error::Queue);
    source.free();
    assert!(told.try_recv().is_err());
}

/// Listeners: added and removed all the time while events come, each is told
/// once, and none runs after that.
#[test]
fn listeners_come_and_go_while_events_come() {
    let server = Server::start();
    let source = Source::new(&server.url("/")).start();
    let handle = source.handle();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    let flood = thread::spawn(move || {
        while connection.try_send("data: x\n\n".repeat(100)).is_ok() {}
    });
    for _ in 0..2000 {
        let gone = std::sync::Arc::new(AtomicBool::new(false));
        let is_gone = gone.clone();
        let (id, told) = listen(handle, move |_| {
            assert!(!is_gone.load(SeqCst), "it runs after it was told");
        });
        thread::yield_now();
        assert_eq!(handle.unlisten(id), Error::None);
        assert!(!removed(&told).inside);
        gone.store(true, SeqCst);
    }
    source.close();
    source.skip_to_close();
    flood.join().expect("a server");
}
