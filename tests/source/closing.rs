//! Closing: at once, from anywhere, once and for all.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use eventsource::ffi::{Error, ReadyState};

use support::phases::{Phase, stage};
use support::server::{EVENT_STREAM, NOBODY, Server};
use support::source::{Handle, Seen, Source};
use support::{alone, promptly, until};

/// R31. In every phase `close` returns at once, the state is CLOSED, the
/// server sees the connection go, and `on_close` is all that comes.
#[test]
fn closes_in_every_phase() {
    for phase in Phase::ALL {
        let staged = stage(phase);
        let source = staged.source.handle();
        promptly("close", move || source.close());
        assert_eq!(source.ready_state(), ReadyState::Closed, "{phase:?}");
        assert_eq!(staged.source.skip_to_close(), Error::None, "{phase:?}");
        assert_eq!(source.wait(10_000), Error::None, "{phase:?}");
        assert_eq!(source.connect(), Error::Closed);
        assert_eq!(source.reconnect(), Error::Closed);
        let (source, server) = staged.sees_the_client_close();
        if !matches!(phase, Phase::Connect | Phase::ProxyConnect) {
            assert!(!server.is_asked(), "{phase:?}");
        }
        only_events_before_close(&source, phase);
    }
}

/// R31. Nothing but what the phase itself had brought, and `on_close`.
fn only_events_before_close(source: &Source, phase: Phase) {
    for seen in source.history() {
        match seen {
            Seen::Open(_) | Seen::Event(_) | Seen::Close(Error::None) => {}
            Seen::Error(_) if phase == Phase::Wait => {}
            other => panic!("{phase:?}: {other:?}"),
        }
    }
}

/// R31. `close` is harmless if repeated, and if four threads call it at once.
#[test]
fn closes_once_for_many_who_close() {
    for phase in Phase::ALL {
        let staged = stage(phase);
        let together = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let source = staged.source.handle();
                let together = together.clone();
                std::thread::spawn(move || {
                    together.wait();
                    source.close();
                    assert_eq!(source.ready_state(), ReadyState::Closed);
                    source.close();
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("a thread that closes");
        }
        assert_eq!(staged.source.skip_to_close(), Error::None, "{phase:?}");
        staged.source.close();
        let (source, _server) = staged.sees_the_client_close();
        only_events_before_close(&source, phase);
    }
}

/// R62. Freeing: in every phase `free` closes, and has called `on_close` when it
/// returns.
#[test]
fn frees_in_every_phase() {
    for phase in Phase::ALL {
        let staged = stage(phase);
        let source = staged.source.handle();
        promptly("free", move || source.free());
        assert!(source.has_closed(), "{phase:?}");
        let (source, _server) = staged.sees_the_client_close();
        only_events_before_close(&source, phase);
    }
}

/// Freeing: a source that was closed, or has failed, may be freed at any time
/// after.
#[test]
fn frees_while_a_close_is_under_way() {
    for phase in Phase::ALL {
        let staged = stage(phase);
        let source = staged.source.handle();
        source.close();
        promptly("free", move || source.free());
        assert!(source.has_closed(), "{phase:?}");
        staged.sees_the_client_close();
    }
}

/// The callbacks of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Callback {
    Open,
    Event,
    Listener,
    Comment,
    Ended,
    NotConnected,
    Refused,
    TooLarge,
    Close,
}

impl Callback {
    const ALL: [Self; 9] = [
        Self::Open,
        Self::Event,
        Self::Listener,
        Self::Comment,
        Self::Ended,
        Self::NotConnected,
        Self::Refused,
        Self::TooLarge,
        Self::Close,
    ];

    fn is(self, seen: &Seen) -> bool {
        match (self, seen) {
            (Self::Open, Seen::Open(_))
            | (Self::Event, Seen::Event(_))
            | (Self::Listener, Seen::Heard(..))
            | (Self::Comment, Seen::Comment(_))
            | (Self::Close, Seen::Close(_)) => true,
            (_, Seen::Error(failure)) => match self {
                Self::Ended => failure.error == Error::Ended,
                Self::Refused => failure.error == Error::Status,
                Self::TooLarge => failure.error == Error::TooLarge,
                Self::NotConnected => failure.response.is_none(),
                _ => false,
            },
            _ => false,
        }
    }

    /// A source that does `action` in this callback, when it has come to it
    /// and all is over.
    fn provoke(
        self,
        action: impl Fn(Handle) + Send + Sync + 'static,
    ) -> Source {
        let server = Server::start();
        let begun = AtomicBool::new(false);
        let done = Arc::new(AtomicBool::new(false));
        let is_done = done.clone();
        let source = Source::new(&server.url("/"))
            .with_max_event_size(1000)
            .doing(move |seen, source| {
                if self.is(seen) && !begun.swap(true, Ordering::SeqCst) {
                    action(source);
                    done.store(true, Ordering::SeqCst);
                }
            });
        source.listen("message", "listener");
        let source = source.start();
        let mut connection = server.accept();
        match self {
            Self::NotConnected => connection.finish(),
            Self::Refused => connection.answer("404 Not Found", ""),
            _ => {
                connection.send(self.script());
                match self {
                    Self::Ended => connection.half_close(),
                    Self::Close => {
                        source.opened();
                        source.close();
                    }
                    _ => {}
                }
                connection.sees_the_client_close();
            }
        }
        source.skip_to_close();
        until("the end of the callback", || is_done.load(Ordering::SeqCst));
        assert!(!server.is_asked(), "{self:?}");
        source
    }

    /// What the server sends to bring it about.
    fn script(self) -> String {
        let body = match self {
            Self::Event | Self::Listener => "data: x\n\ndata: y\n\n",
            Self::Comment => ": x\n: y\n",
            Self::TooLarge => {
                &format!("data: {}\n\ndata: y\n\n", "x".repeat(2000))
            }
            _ => "",
        };
        EVENT_STREAM.to_owned() + body
    }

    /// Nothing came between this callback and `on_close`.
    fn was_the_last_before_close(self, source: &Source) {
        let mut history = source.history();
        let reason =
            if self == Self::Refused { Error::Status } else { Error::None };
        assert_eq!(history.pop(), Some(Seen::Close(reason)), "{self:?}");
        if self != Self::Close {
            let last = history.pop().expect("the callback itself");
            assert!(self.is(&last), "{self:?}: {last:?}");
        }
    }
}

/// R31, R32. `close` inside every kind of callback, also twice.
#[test]
fn closes_inside_every_callback() {
    for callback in Callback::ALL {
        let source = callback.provoke(|source| {
            source.close();
            assert_eq!(source.ready_state(), ReadyState::Closed);
            source.close();
            assert_eq!(source.reconnect(), Error::Closed);
        });
        callback.was_the_last_before_close(&source);
    }
}

/// Freeing: inside every kind of callback `free` calls `on_close` before it
/// returns, and nothing comes after.
#[test]
fn frees_inside_every_callback() {
    for callback in Callback::ALL {
        let source = callback.provoke(|source| {
            source.free();
            assert!(source.has_closed());
        });
        callback.was_the_last_before_close(&source);
    }
}

/// Freeing: inside every kind of callback, after a `close`.
#[test]
fn frees_inside_every_callback_after_a_close() {
    for callback in Callback::ALL {
        let source = callback.provoke(|source| {
            source.close();
            source.free();
            assert!(source.has_closed());
        });
        callback.was_the_last_before_close(&source);
    }
}

/// Freeing: inside a callback that is asked, too; what it answers comes too
/// late.
#[test]
fn frees_inside_on_request_and_on_retry() {
    let server = Server::start();
    let ended = Arc::new(AtomicBool::new(false));
    let (source, ends) = (Source::new(&server.url("/")), ended.clone());
    let handle = source.handle();
    let source = source.asking(move |request| {
        handle.free();
        assert!(handle.has_closed());
        assert_eq!(request.set_header("X-Late", Some("1")), Error::None);
        ends.store(true, Ordering::SeqCst);
    });
    let source = source.start();
    source.closed(Error::None);
    until("the end of on_request", || ended.swap(false, Ordering::SeqCst));
    assert!(!server.is_asked());

    let (source, ends) = (Source::new(&server.url("/")), ended.clone());
    let handle = source.handle();
    let source = source.deciding(move |_| {
        handle.free();
        assert!(handle.has_closed());
        ends.store(true, Ordering::SeqCst);
        0
    });
    let source = source.start();
    server.accept().reset();
    source.closed(Error::None);
    until("the end of on_retry", || ended.swap(false, Ordering::SeqCst));
    assert!(!server.is_asked());
}

/// Freeing: in a callback that comes while `connect` may still be returning,
/// as no server has to answer first.
#[test]
fn frees_while_connect_returns() {
    for _ in 0..100 {
        let source = Source::new(NOBODY).doing(|seen, source| {
            if matches!(seen, Seen::Error(_)) {
                source.free();
            }
        });
        let source = source.start();
        assert_eq!(source.failure(Error::Connect).attempt, 1);
        source.closed(Error::None);
    }
}

/// Freeing: in `on_close`, while the `close` that led to it is still returning
/// on another thread. AddressSanitizer sees it go wrong.
#[test]
fn frees_while_close_returns() {
    let server = Server::start();
    let freed = Arc::new(AtomicBool::new(false));
    let frees = freed.clone();
    let source = Source::new(&server.url("/")).doing(move |seen, source| {
        if let Seen::Close(_) = seen {
            source.free();
            frees.store(true, Ordering::SeqCst);
        }
    });
    let source = source.start();
    let _connection = server.accept();
    let handle = source.handle();
    promptly("close", move || {
        // The source's thread is woken, and this one does not get on.
        AFTER_WRITE.set(Some(Box::new(move || {
            until("a free", || freed.load(Ordering::SeqCst));
        })));
        handle.close();
        assert!(AFTER_WRITE.take().is_none(), "by writing it is woken");
    });
    source.closed(Error::None);
}

type Action = Box<dyn FnOnce()>;

thread_local! {
    /// What this thread does in the middle of its next write(2).
    static AFTER_WRITE: Cell<Option<Action>> = const { Cell::new(None) };
}

/// Takes the place of the C library's in the whole test program.
#[unsafe(no_mangle)]
extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    // SAFETY: what write(2) was given.
    let written = unsafe { libc::syscall(libc::SYS_write, fd, bytes, count) };
    // A thread that ends has none.
    if let Ok(Some(action)) = AFTER_WRITE.try_with(Cell::take) {
        action();
    }
    written as isize
}

/// Freeing: in a callback, while another thread waits for the source. What
/// goes wrong then, a thread that nobody listens to has to say.
#[test]
fn frees_while_another_thread_waits() {
    alone("closing::frees_while_another_thread_waits", || {
        let server = Server::start();
        for _ in 0..10 {
            frees_while_waited_for(&server);
        }
    });
}

fn frees_while_waited_for(server: &Server) {
    let source = Source::new(&server.url("/")).doing(|seen, source| {
        if let Seen::Error(_) = seen {
            source.free();
        }
    });
    let source = source.start();
    let handle = source.handle();
    let number = Arc::new(AtomicI32::new(0));
    let its = number.clone();
    let waiting = std::thread::spawn(move || {
        // SAFETY: gettid(2) takes nothing.
        its.store(unsafe { libc::gettid() }, Ordering::SeqCst);
        handle.wait(-1)
    });
    until("a thread that sleeps", || {
        let number = number.load(Ordering::SeqCst);
        let stat = format!("/proc/self/task/{number}/stat");
        number != 0 && std::fs::read_to_string(stat).unwrap().contains(") S ")
    });
    server.accept().finish();
    source.failure(Error::Lost);
    source.closed(Error::None);
    let waited = promptly("wait", move || waiting.join().unwrap());
    assert_eq!(waited, Error::None);
}

/// A source that stands still in its first event, and how to let it go on.
fn standing_still() -> (Server, Source, mpsc::Sender<()>, Arc<AtomicBool>) {
    let server = Server::start();
    let (entered, has_entered) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let returned = Arc::new(AtomicBool::new(false));
    let flag = returned.clone();
    let source = Source::new(&server.url("/"))
        .doing(move |seen, _| {
            if matches!(seen, Seen::Event(event) if event.data == "x") {
                entered.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
                flag.store(true, Ordering::SeqCst);
            }
        })
        .start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM.to_owned() + "data: x\n\ndata: y\n\n");
    source.opened();
    has_entered.recv().unwrap();
    assert!(matches!(source.next(), Seen::Event(_)));
    (server, source, go, returned)
}

/// Closing never waits: not for a callback that is running either. None begins
/// when that one has returned.
#[test]
fn closing_does_not_wait_for_a_callback() {
    let (_server, source, go, _) = standing_still();
    let handle = source.handle();
    promptly("close", move || handle.close());
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert_eq!(source.wait(0), Error::Timeout);
    go.send(()).unwrap();
    source.closed(Error::None);
    assert_eq!(source.wait(10_000), Error::None);
}

/// Freeing from outside waits for the callback that is running.
#[test]
fn freeing_waits_for_a_callback() {
    let (_server, source, go, returned) = standing_still();
    let handle = source.handle();
    let (begins, has_begun) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        begins.send(()).unwrap();
        handle.free();
        assert!(returned.load(Ordering::SeqCst), "free came back too early");
        assert!(handle.has_closed());
    });
    has_begun.recv().unwrap();
    go.send(()).unwrap();
    thread.join().expect("free");
    assert_eq!(source.skip_to_close(), Error::None);
}

/// Closing: when `close` has returned no callback begins, however fast events
/// come.
#[test]
fn no_callback_begins_after_close_has_returned() {
    for _ in 0..30 {
        let staged = stage(Phase::FloodingBody);
        staged.source.close();
        let before = staged.source.history().len();
        staged.source.skip_to_close();
        let after = staged.source.history().len();
        // One may have begun before, and been remembered after.
        assert!(after <= before + 2, "{} callbacks", after - before);
        staged.sees_the_client_close();
    }
}

/// Closing: a failed source is closed already, and says why once.
#[test]
fn closing_a_failed_source_changes_nothing() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().answer("404 Not Found", "");
    source.failed(Error::Status);
    source.close();
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert_eq!(source.connect(), Error::Closed);
    assert_eq!(source.reconnect(), Error::Closed);
}

/// Closing: right behind `connect`, at whatever moment that meets.
#[test]
fn closes_right_behind_connect() {
    let server = Server::start();
    for round in 0..200 {
        let source = Source::connected(&server.url("/"));
        for _ in 0..round * 20 {
            std::hint::spin_loop();
        }
        source.close();
        source.closed(Error::None);
        assert_eq!(source.history().len(), 1);
        drop(source);
        while server.is_asked() {
            server.accept_silently();
        }
    }
}

/// R30. Sources are independent: one is closed, the others go on.
#[test]
fn closing_one_source_leaves_the_others_alone() {
    let server = Server::start();
    let mut sources: Vec<_> = (0..20)
        .map(|_| {
            let source = Source::connected(&server.url("/"));
            let mut connection = server.accept();
            connection.send(EVENT_STREAM);
            source.opened();
            (source, connection)
        })
        .collect();
    while let Some((source, mut connection)) = sources.pop() {
        source.close();
        source.closed(Error::None);
        connection.sees_the_client_close();
        for (source, connection) in &mut sources {
            connection.send("data: x\n\n");
            source.message("x");
        }
    }
}
