//! Loops: many sources on one thread, the library's or the program's.

use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use eventsource::ffi::{self, Error, HttpVersion, ReadyState};

use support::certificates;
use support::event_loop::EventLoop;
use support::phases::{Phase, stage};
use support::server::{EVENT_STREAM, NOBODY, Server};
use support::source::{Handle, Seen, Source};
use support::{promptly, until};

/// A loop at work, on a thread of the library's or on one of this test's that
/// waits for the descriptor in a loop of its own.
struct Working {
    event_loop: EventLoop,
    /// The test's thread, and what ends it.
    own: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

impl Working {
    fn started() -> Working {
        Working { event_loop: EventLoop::started(), own: None }
    }

    fn driven() -> Working {
        let event_loop = EventLoop::new();
        let ends = Arc::new(AtomicBool::new(false));
        let end = ends.clone();
        let thread = thread::spawn(move || {
            let nested = Nested::around(event_loop.fd());
            while !end.load(Ordering::SeqCst) {
                // No deadline but that of the test's end.
                if nested.wait(50) {
                    let did = event_loop.dispatch(0);
                    assert!(
                        matches!(did, Error::None | Error::Timeout),
                        "{did:?}"
                    );
                }
            }
        });
        Working { event_loop, own: Some((thread, ends)) }
    }

    fn both() -> [Working; 2] {
        [Working::started(), Working::driven()]
    }

    fn source(&self, url: &str) -> Source {
        self.event_loop.drives_in(|| Source::new(url))
    }

    /// The thread for callbacks, as one source tells it.
    fn is_started(&self) -> bool {
        self.own.is_none()
    }

    /// Ends the test's thread; the loop is there still.
    fn stop(&mut self) {
        if let Some((thread, ends)) = self.own.take() {
            ends.store(true, Ordering::SeqCst);
            thread.join().expect("a thread that dispatches");
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        self.stop();
        let event_loop = self.event_loop;
        promptly("loop_free", move || event_loop.free());
    }
}

/// The program's own epoll(7), in which a loop is one of many.
struct Nested(RawFd);

impl Nested {
    fn around(fd: RawFd) -> Nested {
        assert!(fd >= 0, "a descriptor");
        let mut event =
            libc::epoll_event { events: libc::EPOLLIN as u32, u64: 7 };
        // SAFETY: no pointers but that to a local.
        let outer = unsafe {
            let outer = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            let add = libc::EPOLL_CTL_ADD;
            let error = libc::epoll_ctl(outer, add, fd, &raw mut event);
            assert_eq!(error, 0, "EPOLL_CTL_ADD");
            outer
        };
        Nested(outer)
    }

    /// Whether the loop has something to do within so many milliseconds.
    fn wait(&self, ms: i32) -> bool {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        let count = unsafe { libc::epoll_wait(self.0, &raw mut event, 1, ms) };
        count == 1
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        // SAFETY: nobody else's.
        unsafe { libc::close(self.0) };
    }
}

fn opened(server: &Server, source: &Source) -> support::server::Connection {
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    connection
}

/// R31. In every phase `close` returns at once, whoever drives, the server sees
/// the connection go, and `on_close` comes once.
#[test]
fn closes_in_every_phase() {
    for working in Working::both() {
        for phase in Phase::ALL {
            let staged = working.event_loop.drives_in(|| stage(phase));
            let source = staged.source.handle();
            promptly("close", move || source.close());
            assert_eq!(source.ready_state(), ReadyState::Closed, "{phase:?}");
            assert_eq!(staged.source.skip_to_close(), Error::None);
            assert_eq!(source.wait(10_000), Error::None, "{phase:?}");
            staged.sees_the_client_close();
        }
    }
}

/// R62. In every phase `free` has called `on_close` when it returns: on a thread
/// that does not drive, and though nobody drives.
#[test]
fn frees_in_every_phase() {
    for mut working in Working::both() {
        for phase in Phase::ALL {
            let staged = working.event_loop.drives_in(|| stage(phase));
            let source = staged.source.handle();
            promptly("free", move || source.free());
            assert!(source.has_closed(), "{phase:?}");
            staged.sees_the_client_close();
        }
        let server = Server::start();
        let source = working.source(&server.url("/")).start();
        let mut connection = opened(&server, &source);
        working.stop();
        let handle = source.handle();
        promptly("free", move || handle.free());
        source.closed(Error::None);
        connection.sees_the_client_close();
    }
}

/// In every phase from which an attempt gets further, `reconnect` begins another
/// one at once, and leaves the first one behind.
#[test]
fn reconnects_in_every_phase() {
    for working in Working::both() {
        for phase in Phase::ALL {
            let flooded =
                matches!(phase, Phase::FloodingBody | Phase::FloodingTlsBody);
            if phase.hangs_again() || flooded {
                continue;
            }
            let staged = working.event_loop.drives_in(|| stage(phase));
            let source = staged.source.handle();
            let before = source.stats().connects;
            let reconnects = source.stats().reconnects;
            assert_eq!(source.reconnect(), Error::None, "{phase:?}");
            until("another attempt", || {
                source.stats().reconnects == reconnects + 1
            });
            assert_eq!(source.stats().connects, before, "{phase:?}");
            source.close();
            staged.source.skip_to_close();
        }
    }
}

/// All callbacks of all sources come on one thread, one at a time: those that
/// ask, too.
#[test]
fn all_callbacks_come_on_one_thread() {
    for working in Working::both() {
        let server = Server::start();
        let threads = Arc::new(Mutex::new(Vec::<ThreadId>::new()));
        let inside = Arc::new(AtomicUsize::new(0));
        let note = |what: &'static str| {
            let (threads, inside) = (threads.clone(), inside.clone());
            move || {
                let others = inside.fetch_add(1, Ordering::SeqCst);
                assert_eq!(others, 0, "one at a time: {what}");
                threads.lock().unwrap().push(thread::current().id());
                thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let sources: Vec<_> = (0..8)
            .map(|_| {
                let (asks, decides) = (note("request"), note("retry"));
                let does = note("callback");
                working
                    .source(&server.url("/"))
                    .asking(move |_| asks())
                    .deciding(move |failure| {
                        decides();
                        if failure.attempt < 3 { 0 } else { -1 }
                    })
                    .doing(move |_, _| does())
                    .start()
            })
            .collect();
        for _ in 0..8 * 3 {
            let mut connection = server.accept();
            connection.send(EVENT_STREAM);
            connection.finish();
        }
        for source in &sources {
            source.skip_to_close();
        }
        let threads = threads.lock().unwrap();
        // Requests, opens, verdicts and errors of three attempts, and a close.
        assert!(threads.len() >= 8 * (3 * 3 + 1), "{}", threads.len());
        let own = threads[0];
        assert!(threads.iter().all(|it| *it == own));
        assert_ne!(own, thread::current().id());
        if let Some((thread, _)) = &working.own {
            assert_eq!(own, thread.thread().id(), "the program's");
        }
    }
}

/// Freeing: a source in a callback of its own.
#[test]
fn frees_in_its_own_callback() {
    for working in Working::both() {
        let server = Server::start();
        let source = working.source(&server.url("/")).doing(|seen, source| {
            if let Seen::Event(_) = seen {
                source.free();
                assert!(source.has_closed());
            }
        });
        let source = source.start();
        let mut connection = opened(&server, &source);
        connection.send("data: x\n\ndata: y\n\n");
        source.message("x");
        source.closed(Error::None);
        connection.sees_the_client_close();
    }
}

/// Freeing: another source of the same loop, in a callback; its `on_close` comes
/// there, and may free the one whose callback it is.
#[test]
fn frees_another_source_in_a_callback() {
    for working in Working::both() {
        for both in [false, true] {
            let server = Server::start();
            let other = working.source(&server.url("/"));
            let own: Arc<Mutex<Option<Handle>>> = Arc::default();
            let first = own.clone();
            let other = other.doing(move |seen, _| {
                let first = first.lock().unwrap().take();
                if let (Seen::Close(_), Some(first)) = (seen, first) {
                    first.free();
                    assert!(first.has_closed());
                }
            });
            let other = other.start();
            let mut others = opened(&server, &other);
            let frees = other.handle();
            let source =
                working.source(&server.url("/")).doing(move |seen, source| {
                    if let Seen::Event(_) = seen {
                        *own.lock().unwrap() = both.then_some(source);
                        frees.free();
                        assert!(frees.has_closed());
                        assert_eq!(source.has_closed(), both);
                    }
                });
            let source = source.start();
            let mut connection = opened(&server, &source);
            connection.send("data: x\n\n");
            source.message("x");
            other.closed(Error::None);
            others.sees_the_client_close();
            if both {
                source.closed(Error::None);
                connection.sees_the_client_close();
            } else {
                source.close();
                source.skip_to_close();
            }
        }
    }
}

/// What a callback that waits would wait for for ever is refused.
#[test]
fn does_not_wait_inside_a_callback() {
    for working in Working::both() {
        let server = Server::start();
        let other = working.source(&server.url("/")).start();
        let _others = opened(&server, &other);
        let (event_loop, waits) = (working.event_loop, other.handle());
        let is_started = working.is_started();
        let source =
            working.source(&server.url("/")).doing(move |seen, source| {
                if matches!(seen, Seen::Close(_)) {
                    return;
                }
                assert_eq!(source.wait(-1), Error::Callback);
                assert_eq!(source.wait(0), Error::Callback);
                assert_eq!(waits.wait(-1), Error::Callback);
                assert_eq!(waits.wait(0), Error::Timeout);
                assert_eq!(event_loop.dispatch(0), Error::Callback);
                assert_eq!(event_loop.start(), Error::Callback);
                assert_eq!(event_loop.fd() < 0, is_started);
            });
        let source = source.start();
        let _connection = opened(&server, &source);
    }
}

/// One thread at a time drives a loop.
#[test]
fn one_thread_drives() {
    let event_loop = EventLoop::new();
    assert_eq!(event_loop.dispatch(0), Error::Timeout);
    let start = Instant::now();
    assert_eq!(event_loop.dispatch(20), Error::Timeout);
    assert!(start.elapsed() >= Duration::from_millis(20));

    let server = Server::start();
    let (entered, has_entered) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let source = event_loop.drives_in(|| Source::new(&server.url("/")));
    let source = source.doing(move |seen, _| {
        if let Seen::Open(_) = seen {
            entered.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        }
    });
    let source = source.start();
    let handle = source.handle();
    let drives = thread::spawn(move || {
        while !handle.has_closed() {
            // A thread that waits drives, too, and may have done all there was.
            match event_loop.dispatch(100) {
                Error::None | Error::Busy | Error::Timeout => {}
                other => panic!("{other:?}"),
            }
        }
    });
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    has_entered.recv().unwrap();
    assert_eq!(event_loop.dispatch(0), Error::Busy);
    assert_eq!(event_loop.start(), Error::Busy);
    go.send(()).unwrap();
    source.opened();
    // While somebody drives, `wait` only waits.
    assert_eq!(handle.wait(20), Error::Timeout);
    source.close();
    assert_eq!(handle.wait(10_000), Error::None);
    drives.join().expect("a thread that drives");
    source.closed(Error::None);
    drop(source);
    event_loop.free();
}

/// A loop that was started is driven by nobody else.
#[test]
fn a_started_loop_has_its_thread() {
    let working = Working::started();
    let event_loop = working.event_loop;
    assert_eq!(event_loop.start(), Error::Busy);
    assert_eq!(event_loop.dispatch(0), Error::Busy);
    assert_eq!(event_loop.fd(), -1);
}

/// `wait` drives a loop that nobody drives: also from several threads at once.
#[test]
fn wait_drives() {
    let event_loop = EventLoop::new();
    let server = Server::start();
    let sources: Vec<_> = (0..3)
        .map(|_| event_loop.drives_in(|| Source::connected(&server.url("/"))))
        .collect();
    let waits: Vec<_> = sources
        .iter()
        .map(|source| {
            let handle = source.handle();
            thread::spawn(move || handle.wait(10_000))
        })
        .collect();
    for _ in &sources {
        server.accept().answer("204 No Content", "");
    }
    for wait in waits {
        assert_eq!(wait.join().expect("a thread"), Error::None);
    }
    for source in &sources {
        source.failed(Error::Status);
    }
    drop(sources);
    event_loop.free();
}

/// The deadlines of a loop reach whoever waits for its descriptor, without any
/// time of his own.
#[test]
fn deadlines_make_the_descriptor_readable() {
    let event_loop = EventLoop::new();
    let server = Server::start();
    let source = event_loop.drives_in(|| {
        Source::new(&server.url("/"))
            .with(ffi::eventsource_set_idle_timeout, 50)
            .start()
    });
    let serves = thread::spawn(move || {
        let both = [(); 2].map(|()| {
            let mut connection = server.accept();
            connection.send(EVENT_STREAM);
            connection
        });
        (server, both)
    });
    // Deadlines that are known before the descriptor is asked for, too.
    while source.history().is_empty() {
        assert_eq!(event_loop.dispatch(10_000), Error::None);
    }
    source.opened();
    let nested = Nested::around(event_loop.fd());
    let mut turns = 0;
    // The stream is silent for too long; then the delay, a millisecond, and
    // another attempt.
    while source.history().len() < 3 {
        assert!(nested.wait(10_000), "nothing makes it readable");
        event_loop.dispatch(0);
        turns += 1;
    }
    source.retrying(Error::Timeout);
    source.opened();
    assert!(turns < 20, "it was readable for nothing: {turns}");
    drop(nested);
    drop(source);
    event_loop.free();
    serves.join().expect("a server of two connections");
}

/// A descriptor of which nobody takes care says so at once.
#[test]
fn the_descriptor_is_readable_while_there_is_something_to_do() {
    let event_loop = EventLoop::new();
    let nested = Nested::around(event_loop.fd());
    // It may be readable for the first look.
    event_loop.dispatch(0);
    assert!(!nested.wait(0));
    let source = event_loop.drives_in(|| Source::connected(NOBODY));
    assert!(nested.wait(0), "a source has come");
    while source.history().is_empty() {
        assert!(nested.wait(10_000));
        event_loop.dispatch(0);
    }
    source.retrying(Error::Connect);
    source.close();
    assert!(nested.wait(0), "a source was closed");
    while !source.has_closed() {
        assert!(nested.wait(10_000));
        event_loop.dispatch(0);
    }
    source.skip_to_close();
    event_loop.dispatch(0);
    assert!(!nested.wait(0));
    drop(nested);
    drop(source);
    event_loop.free();
}

/// A callback that takes its time holds up no `free` of another source, and one
/// of its own source waits for it.
#[test]
fn free_waits_for_the_sources_own_callback_alone() {
    for working in Working::both() {
        let server = Server::start();
        let other = working.source(&server.url("/")).start();
        let mut others = opened(&server, &other);
        let (entered, has_entered) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        let returned = Arc::new(AtomicBool::new(false));
        let flag = returned.clone();
        let source = working.source(&server.url("/")).doing(move |seen, _| {
            if matches!(seen, Seen::Event(event) if event.data == "x") {
                entered.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
                flag.store(true, Ordering::SeqCst);
            }
        });
        let source = source.start();
        let mut connection = opened(&server, &source);
        connection.send("data: x\n\ndata: y\n\n");
        has_entered.recv().unwrap();

        let handle = other.handle();
        promptly("free", move || handle.free());
        other.closed(Error::None);
        others.sees_the_client_close();

        let handle = source.handle();
        let freed = thread::spawn(move || {
            handle.free();
            assert!(returned.load(Ordering::SeqCst), "free came too early");
        });
        go.send(()).unwrap();
        freed.join().expect("free");
        assert_eq!(source.skip_to_close(), Error::None);
    }
}

/// A loop may be freed before its sources: they are closed, and are to be freed
/// all the same.
#[test]
fn a_loop_goes_before_its_sources() {
    for phase in [Phase::Head, Phase::SilentBody, Phase::LookUp, Phase::Wait] {
        for mut working in Working::both() {
            let staged = working.event_loop.drives_in(|| stage(phase));
            let late = working.source("http://127.0.0.1/");
            working.stop();
            drop(working);
            assert!(staged.source.has_closed(), "{phase:?}");
            assert_eq!(staged.source.skip_to_close(), Error::None);
            assert_eq!(staged.source.wait(-1), Error::None);
            assert_eq!(late.connect(), Error::Closed);
            let (source, _server) = staged.sees_the_client_close();
            drop(source);
        }
    }
}

/// A loop may be freed in a callback.
#[test]
fn a_loop_is_freed_in_a_callback() {
    for started in [true, false] {
        let event_loop =
            if started { EventLoop::started() } else { EventLoop::new() };
        let server = Server::start();
        let other =
            event_loop.drives_in(|| Source::connected(&server.url("/")));
        let source = event_loop.drives_in(|| Source::new(&server.url("/")));
        let source = source.doing(move |seen, _| {
            if let Seen::Event(_) = seen {
                event_loop.free();
            }
        });
        let source = source.start();
        let handle = source.handle();
        let drives = thread::spawn(move || {
            while !started && !handle.has_closed() {
                assert_eq!(event_loop.dispatch(-1), Error::None);
            }
        });
        let _connections = [server.accept(), server.accept()].map(|it| {
            let mut it = it;
            it.send(EVENT_STREAM.to_owned() + "data: x\n\n");
            it
        });
        drives.join().expect("a thread that drives");
        assert_eq!(source.skip_to_close(), Error::None);
        assert_eq!(other.skip_to_close(), Error::None);
    }
}

/// Pull mode: a queue goes with a loop that was started, and takes what is left
/// of a read beyond its capacity; then the server is slowed down.
#[test]
fn a_full_queue_slows_the_server_down() {
    let driven = EventLoop::new();
    let refused = driven.drives_in(|| Handle::bare("http://127.0.0.1/"));
    assert_eq!(refused.set_queue(1), Error::None);
    assert_eq!(refused.connect(), Error::Queue);
    refused.free();
    driven.free();

    let working = Working::started();
    let server = Server::start();
    let source = working.source(&server.url("/")).pulling();
    assert_eq!(source.set_queue(3), Error::None);
    let source = source.start();
    // Nobody else waits for the one that is full.
    let other = working.source(&server.url("/"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    const EVENTS: usize = 20_000;
    let (sender, sent) = mpsc::channel();
    let sending = thread::spawn(move || {
        let padding = "x".repeat(1000);
        for number in 0..EVENTS {
            connection.send(format!("data: {number} {padding}\n\n"));
            sender.send(()).unwrap();
        }
        connection
    });
    while sent.recv_timeout(Duration::from_millis(200)).is_ok() {}
    assert!(!sending.is_finished());
    let waiting = source.stats().events;
    assert!((2..=3 + 65).contains(&waiting), "{waiting}");
    let other = other.start();
    drop(opened(&server, &other));
    source.opened();
    for number in 0..EVENTS {
        let event = source.event();
        let said = event.data.split(' ').next().unwrap();
        assert_eq!(said.parse(), Ok(number));
    }
    let _connection = sending.join().unwrap();
    source.close();
    source.closed(Error::None);
}

/// Of what a server sends at once over TLS all is dispatched, though some of it
/// waits where the system does not see it.
#[test]
fn a_burst_over_tls_comes_whole() {
    for working in Working::both() {
        let server = Server::secure(certificates::trusted("127.0.0.1"));
        let source = working.source(&server.url("/")).start();
        let mut connection = opened(&server, &source);
        let event = format!("data: {}\n\n", "x".repeat(1000));
        connection.send(event.repeat(1000));
        for _ in 0..1000 {
            source.event();
        }
        connection.send("data: last\n\n");
        source.message("last");
    }
}

/// A flood leaves the others their turns.
#[test]
fn a_flood_leaves_others_their_turns() {
    for working in Working::both() {
        let staged =
            working.event_loop.drives_in(|| stage(Phase::FloodingBody));
        let server = Server::start();
        let source = working.source(&server.url("/")).start();
        let mut connection = opened(&server, &source);
        for number in 0..50 {
            connection.send(format!("data: {number}\n\n"));
            source.message(&number.to_string());
        }
        staged.source.close();
        staged.source.skip_to_close();
        staged.sees_the_client_close();
    }
}

/// Servers that take a connection and say nothing hold up nobody else, however
/// many they are.
#[test]
fn mute_servers_hold_up_nobody() {
    for working in Working::both() {
        let mute = Server::secure(certificates::trusted("127.0.0.1"));
        // Each with a connection of its own.
        let stuck = || {
            let source = working.source(&mute.url("/"));
            source.in_version(HttpVersion::_1_1).start()
        };
        // More than wait for a thread that connects them.
        let stuck: Vec<_> = (0..300).map(|_| stuck()).collect();
        let last = stuck.last().expect("of many");
        assert_eq!(last.reconnect(), Error::None);
        last.close();
        last.skip_to_close();
        let taken: Vec<_> = (0..4).map(|_| mute.accept_silently()).collect();
        let server = Server::start();
        let start = Instant::now();
        let source = working.source(&server.url("/")).start();
        let _connection = opened(&server, &source);
        let time = start.elapsed();
        assert!(time < Duration::from_secs(3), "{time:?}");
        drop((stuck, taken));
    }
}

/// `set_loop` is a setting: NULL takes it back.
#[test]
fn null_is_a_thread_of_its_own() {
    let working = Working::started();
    let server = Server::start();
    let (thread, is) = mpsc::channel();
    let note = move |_: &Seen, _| {
        let _ = thread.send(thread::current().id());
    };
    let (thread, loops) = mpsc::channel();
    let loops_note = move |_: &Seen, _| {
        let _ = thread.send(thread::current().id());
    };
    let on_loop = working.source(&server.url("/")).doing(loops_note).start();
    let _first = opened(&server, &on_loop);
    let source = working.source(&server.url("/")).doing(note);
    // SAFETY: alive; NULL is no loop.
    let error =
        unsafe { ffi::eventsource_set_loop(source.as_ptr(), ptr::null_mut()) };
    assert_eq!(error, Error::None);
    let source = source.start();
    let _second = opened(&server, &source);
    assert_ne!(is.recv(), loops.recv());
    assert_eq!(working.event_loop.drives(**source), Error::AlreadyConnected);
}

/// NULL is refused, and where nothing can be refused ignored.
#[test]
fn null_is_no_loop() {
    // SAFETY: NULL is allowed everywhere.
    unsafe {
        assert_eq!(ffi::eventsource_loop_new(ptr::null_mut()), Error::Null);
        let null = ptr::null_mut();
        assert_eq!(ffi::eventsource_loop_start(null), Error::Null);
        assert_eq!(ffi::eventsource_loop_dispatch(null, 0), Error::Null);
        assert_eq!(ffi::eventsource_loop_fd(null), -1);
        ffi::eventsource_loop_free(null);
        let error = ffi::eventsource_set_loop(ptr::null_mut(), null);
        assert_eq!(error, Error::Null);
    }
}

/// Sources come and go, while others stay: numbers and descriptors are used
/// again.
#[test]
fn sources_come_and_go() {
    for working in Working::both() {
        let server = Server::start();
        let stays = working.source(&server.url("/")).start();
        let mut staying = opened(&server, &stays);
        for round in 0..100 {
            let source = working.source(&server.url("/"));
            let source = source.with_reconnection_time(3_600_000).start();
            let mut connection = opened(&server, &source);
            connection.send("data: x\n\n");
            source.message("x");
            match round % 3 {
                0 => connection.reset(),
                1 => source.close(),
                _ => {}
            }
            drop(source);
            staying.send(format!("data: {round}\n\n"));
            stays.message(&round.to_string());
        }
    }
}
