//! The process is the program's: what a source must not do to it, and what the
//! process may do to a source. Each test is a process of its own.

#![expect(unsafe_code, reason = "the C API, fork and signals are tested")]

use std::ffi::{CString, c_char};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use eventsource::ffi::{Error, ReadyState};
use support::event_loop::{self, EventLoop};
use support::phases::{Phase, stage};
use support::program::scratch;
use support::server::{CHUNKED, EVENT_STREAM, NOBODY, Server};
use support::source::{Seen, Source};
use support::{ALONE, alone, certificates, names, promptly, until};

/// Names what /proc/self/`table` lists: threads (`task`), descriptors (`fd`).
fn count(table: &str) -> usize {
    let entries = std::fs::read_dir(format!("/proc/self/{table}"));
    entries.expect("/proc").count()
}

/// Runs `child` in a forked process; gives back what `child` does, unless it
/// hangs.
fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child uses the library, and leaves by `_exit`.
    match unsafe { libc::fork() } {
        -1 => panic!("fork"),
        0 => {
            // SAFETY: the default of SIGALRM ends a child that hangs, and a
            // child that panics must not go on as a second test program.
            unsafe {
                libc::alarm(10);
                let run = std::panic::AssertUnwindSafe(child);
                libc::_exit(std::panic::catch_unwind(run).unwrap_or(99));
            }
        }
        pid => {
            let mut status = 0;
            // SAFETY: a child of this process.
            let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
            assert_eq!(waited, pid, "waitpid");
            assert!(libc::WIFEXITED(status), "the child died: {status:#x}");
            libc::WEXITSTATUS(status)
        }
    }
}

/// Fork: a child's `close` and `free` of its parent's source come back, and
/// the parent does not notice, in whatever phase it is.
#[test]
fn a_child_lets_go_of_its_parents_source() {
    alone("a_child_lets_go_of_its_parents_source", || {
        for phase in Phase::ALL {
            let staged = stage(phase);
            let handle = staged.source.handle();
            let before = staged.source.history().len();
            let status = fork(|| {
                handle.close();
                handle.close();
                handle.free();
                // No callback comes in the child, but those of the moment of
                // the fork.
                7
            });
            assert_eq!(status, 7, "{phase:?}");
            if !matches!(phase, Phase::FloodingBody | Phase::FloodingTlsBody) {
                let after = staged.source.history().len();
                assert_eq!(after, before, "{phase:?}");
            }
            handle.close();
            assert_eq!(staged.source.skip_to_close(), Error::None);
            staged.sees_the_client_close();
        }
    });
}

/// Fork: the same on a loop, which the child lets go of, too, before the source
/// or after it.
#[test]
fn a_child_lets_go_of_its_parents_loop() {
    alone("a_child_lets_go_of_its_parents_loop", || {
        let event_loop = EventLoop::started();
        let idle = EventLoop::new();
        let never = idle.drives_in(|| Source::new(NOBODY));
        for phase in Phase::ALL {
            let staged = event_loop.drives_in(|| stage(phase));
            let handle = staged.source.handle();
            for first in [true, false] {
                let status = fork(|| {
                    assert_eq!(event_loop.fd(), -1);
                    assert_eq!(idle.dispatch(0), Error::System);
                    assert_eq!(idle.start(), Error::System);
                    assert_eq!(never.connect(), Error::System);
                    if first {
                        event_loop.free();
                    }
                    handle.close();
                    handle.free();
                    if !first {
                        event_loop.free();
                    }
                    idle.free();
                    let own = EventLoop::started();
                    let source = own.drives_in(|| Source::connected(NOBODY));
                    source.retrying(Error::Connect);
                    drop(source);
                    own.free();
                    7
                });
                assert_eq!(status, 7, "{phase:?}");
            }
            assert_ne!(handle.ready_state(), ReadyState::Closed);
            handle.close();
            assert_eq!(staged.source.skip_to_close(), Error::None);
            staged.sees_the_client_close();
        }
        // A child that lives on holds a connection that is closed here.
        let server = Server::start();
        let source =
            event_loop.drives_in(|| Source::connected(&server.url("/")));
        let mut connection = server.accept();
        connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
        source.opened();
        source.message("x");
        let (mut ours, theirs) = pipe();
        // SAFETY: the child waits for the pipe, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(ours);
            let _ = (&theirs).read(&mut [0]);
            // SAFETY: as above.
            unsafe { libc::_exit(0) };
        }
        drop(theirs);
        source.close();
        source.closed(Error::None);
        // What comes for the child is nothing to the loop.
        let _ = connection.try_send("data: y\n\n");
        let before = cpu_time();
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(cpu_time() - before < 50, "the loop spins");
        ours.write_all(b"x").expect("the child");
        // SAFETY: a child of this process.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    });
}

/// A pair of connected ends.
fn pipe() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("descriptors")
}

/// What this process has used, in milliseconds.
fn cpu_time() -> i64 {
    // SAFETY: a place for the time.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        let clock = libc::CLOCK_PROCESS_CPUTIME_ID;
        libc::clock_gettime(clock, &raw mut time);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
}

/// The number of the system call that the only source's thread is in.
fn call_of_the_source() -> Option<libc::c_long> {
    for task in std::fs::read_dir("/proc/self/task").expect("/proc") {
        let read = |name| {
            let path = task.as_ref().expect("a thread").path().join(name);
            std::fs::read_to_string(path)
        };
        if read("comm").is_ok_and(|it| it.trim() == "eventsource") {
            let call = read("syscall").ok()?;
            return call.split(' ').next()?.parse().ok();
        }
    }
    None
}

/// A thread that gets small events waits for them by reading: one system call
/// for each. A receive buffer is not held for that, so that for large ones it
/// waits before it reads.
#[test]
fn a_small_event_takes_one_system_call() {
    alone("a_small_event_takes_one_system_call", || {
        let waits = |by_reading| {
            until("the source's system call", || {
                call_of_the_source()
                    .is_some_and(|it| (it == libc::SYS_recvfrom) == by_reading)
            });
        };
        for secure in [false, true] {
            let server = match secure {
                false => Server::start(),
                true => Server::secure(certificates::trusted("127.0.0.1")),
            };
            let source = Source::connected(&server.url("/"));
            let mut connection = server.accept();
            connection.send(CHUNKED);
            source.opened();
            for _ in 0..2 {
                connection.chunk("data: small\n\n");
                source.message("small");
                waits(true);
                let large = "x".repeat(50_000);
                connection.chunk(format!("data: {large}\n\n"));
                source.message(&large);
                waits(false);
            }
            connection.chunk("data: small\n\n");
            source.message("small");
            waits(true);
            source.close();
            source.closed(Error::None);
            connection.sees_the_client_close();
        }
    });
}

/// Fork: the parent's stream goes on.
#[test]
fn a_childs_free_leaves_the_stream_alone() {
    alone("a_childs_free_leaves_the_stream_alone", || {
        for secure in [false, true] {
            let server = if secure {
                Server::secure(certificates::trusted("127.0.0.1"))
            } else {
                Server::start()
            };
            let source = Source::connected(&server.url("/"));
            let mut connection = server.accept();
            connection.send(CHUNKED);
            connection.chunk("data: before\n\n");
            source.opened();
            source.message("before");
            let handle = source.handle();
            for _ in 0..3 {
                let status = fork(|| {
                    handle.free();
                    0
                });
                assert_eq!(status, 0);
                connection.chunk("data: after\n\n");
                source.message("after");
            }
            assert!(!server.is_asked());
            assert_eq!(source.reconnect(), Error::None);
            server.accept();
        }
    });
}

/// Fork: over HTTP/2 a stream that is given up is ended by a word; a child has
/// none to say on its parent's connection.
#[test]
#[cfg(feature = "http2")]
fn a_child_says_nothing_on_its_parents_connection() {
    use support::http2::{Http2, PING, RST_STREAM};

    alone("a_child_says_nothing_on_its_parents_connection", || {
        let event_loop = EventLoop::started();
        let connect = |server: &Server| {
            Source::new(&server.url("/")).over_http2().start()
        };
        for on_a_loop in [false, true] {
            let server = Server::start();
            let source = match on_a_loop {
                true => event_loop.drives_in(|| connect(&server)),
                false => connect(&server),
            };
            let mut connection = Http2::accept(&server);
            connection.open();
            connection.data("data: before\n\n");
            source.opened();
            source.message("before");
            let handle = source.handle();
            let status = fork(|| {
                handle.free();
                event_loop.free();
                7
            });
            assert_eq!(status, 7);
            connection.send_frame(PING, 0, 0, &[7; 8]);
            loop {
                let frame = connection.frame();
                assert!(![RST_STREAM, 7].contains(&frame.kind), "{frame:?}");
                if frame.kind == PING {
                    break;
                }
            }
            connection.data("data: after\n\n");
            source.message("after");
        }
    });
}

/// Fork: a child may have sources of its own.
#[test]
fn a_child_has_sources_of_its_own() {
    alone("a_child_has_sources_of_its_own", || {
        let server = Server::start();
        let parents = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        parents.opened();
        let status = fork(|| {
            let server = Server::start();
            let source = Source::connected(&server.url("/"));
            let mut connection = server.accept();
            connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
            source.opened();
            source.message("x");
            connection.finish();
            source.ended();
            source.close();
            source.closed(Error::None);
            0
        });
        assert_eq!(status, 0);
        connection.send("data: y\n\n");
        parents.message("y");
    });
}

/// Fork: a source that has never been connected, and one that is over.
#[test]
fn a_child_frees_what_does_not_run() {
    alone("a_child_frees_what_does_not_run", || {
        let server = Server::start();
        let fresh = Source::new(&server.url("/"));
        let over = Source::connected(&server.url("/"));
        over.close();
        over.closed(Error::None);
        let status = fork(|| {
            fresh.handle().free();
            over.handle().free();
            0
        });
        assert_eq!(status, 0);
    });
}

/// The disposition of `signal`.
fn disposition(signal: i32) -> usize {
    // SAFETY: only asks.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let error = libc::sigaction(signal, std::ptr::null(), &mut action);
        assert_eq!(error, 0);
        action.sa_sigaction
    }
}

/// Signals: writing to a connection that is gone does not end a program that
/// has left SIGPIPE as it is, and no signal is handled.
#[test]
fn sigpipe_does_not_end_the_program() {
    alone("sigpipe_does_not_end_the_program", || {
        // SAFETY: what a C program begins with.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let before: Vec<_> = (1..32).map(disposition).collect();
        let plain = Server::start();
        let secure = Server::secure(certificates::trusted("127.0.0.1"));
        for server in [&plain, &secure] {
            for _ in 0..30 {
                let source = Source::new(&server.url("/"))
                    .with_reconnection_time(3_600_000)
                    .with_header("X-Large", &"x".repeat(1 << 20))
                    .start();
                // Closed with the request unread: RST.
                drop(server.accept_silently());
                assert!(matches!(source.next(), Seen::Error(_)));
            }
        }
        // TLS says good-bye to somebody who is gone.
        for _ in 0..30 {
            let source = Source::new(&secure.url("/"))
                .with_reconnection_time(3_600_000)
                .start();
            let mut connection = secure.accept();
            connection.send(EVENT_STREAM);
            source.opened();
            connection.reset();
            source.close();
            source.skip_to_close();
        }
        let after: Vec<_> = (1..32).map(disposition).collect();
        assert_eq!(before, after);
    });
}

/// Exit: a program may end while sources run.
#[test]
fn a_program_may_end_while_sources_run() {
    for (phase, number) in Phase::ALL.into_iter().zip(0..) {
        let test = "a_program_may_end_while_sources_run";
        if let Ok(wanted) = std::env::var(ALONE) {
            if wanted == format!("{number}") {
                let _staged = stage(phase);
                std::process::exit(40 + number);
            }
            continue;
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--test-threads=1", "--nocapture"])
            .env(ALONE, number.to_string())
            .output()
            .expect("a process");
        let status = output.status;
        assert_eq!(status.code(), Some(40 + number), "{phase:?}: {status}");
    }
}

/// Descriptors, threads: none before `connect`, none after `free`, whichever
/// phase it was.
#[test]
fn nothing_is_left_behind() {
    alone("nothing_is_left_behind", || {
        // What drives all sources, if there is one, is the process's.
        let is_on_loop = event_loop::of_new_sources().is_some();
        let threads = count("task");
        // What the process keeps, it has after the first round.
        for phase in Phase::ALL {
            drop(stage(phase));
        }
        let at_rest = || (count("fd"), count("task"));
        // The look-up that was left behind hangs on; so it is told to end.
        let let_names_go = || {
            for number in 0..1000 {
                names::resolve(&format!("dead-{number}.test"), &[]);
            }
        };
        let_names_go();
        until("the threads' end", || count("task") == threads);
        let before = at_rest();
        for _ in 0..200 {
            let server = Server::start();
            let threads = count("task");
            let source = Source::new(&server.url("/"));
            assert!(count("task") <= threads, "no thread before connect");
            let source = source.start();
            let mut connection = server.accept();
            connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
            source.opened();
            source.message("x");
        }
        until("the same as before", || at_rest() == before);
        for phase in Phase::ALL {
            for _ in 0..10 {
                let staged = stage(phase);
                let handle = staged.source.handle();
                handle.free();
                staged.sees_the_client_close();
            }
            let_names_go();
            // Those that connect for a loop rest for a second before they end.
            if !is_on_loop {
                let what = format!("the same after {phase:?}");
                until(&what, || at_rest() == before);
            }
        }
        until("the same after all", || at_rest() == before);
    });
}

/// Memory: a source that is made, connected and freed leaves nothing. What a
/// thousand of them take, the next thousand take again.
#[test]
fn sources_do_not_pile_up() {
    alone("sources_do_not_pile_up", || {
        let resident = || -> usize {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
        };
        let round = || {
            for _ in 0..1000 {
                let url = CString::new(NOBODY).unwrap();
                let mut source = std::ptr::null_mut();
                // SAFETY: made, connected and freed.
                unsafe {
                    use eventsource::ffi;
                    let error = ffi::eventsource_new(url.as_ptr(), &mut source);
                    assert_eq!(error, Error::None);
                    let error = ffi::eventsource_connect(source);
                    assert_eq!(error, Error::None);
                    ffi::eventsource_free(source);
                }
            }
        };
        round();
        let before = resident();
        round();
        round();
        let grown = resident().saturating_sub(before);
        assert!(grown < 2000, "{grown} KiB for two thousand sources");
    });
}

/// The threads of the library: their directories below /proc.
fn threads() -> Vec<std::path::PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    let paths = tasks.map(|task| task.expect("a thread").path());
    let ours = |task: &std::path::PathBuf| {
        std::fs::read_to_string(task.join("comm"))
            .is_ok_and(|name| name.starts_with("eventsource"))
    };
    paths.filter(ours).collect()
}

/// Signals: a storm of them on a source's thread is not noticed, and runs no
/// handler there.
#[test]
fn signals_do_not_disturb_a_source() {
    alone("signals_do_not_disturb_a_source", || {
        static STORM: AtomicBool = AtomicBool::new(true);
        static HANDLED: AtomicBool = AtomicBool::new(false);
        extern "C" fn handle(_: libc::c_int) {
            HANDLED.store(true, SeqCst);
        }
        // SAFETY: a handler that restarts no call.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as *const () as usize;
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
        }
        let storm = std::thread::spawn(|| {
            while STORM.load(SeqCst) {
                for thread in threads() {
                    let id = thread.file_name().unwrap().to_str().unwrap();
                    let id: libc::pid_t = id.parse().unwrap();
                    // SAFETY: takes numbers; a thread may have ended.
                    unsafe {
                        libc::syscall(
                            libc::SYS_tgkill,
                            libc::getpid(),
                            id,
                            libc::SIGUSR1,
                        );
                    }
                }
                std::thread::yield_now();
            }
        });
        for secure in [false, true] {
            let server = match secure {
                true => Server::secure(certificates::trusted("127.0.0.1")),
                false => Server::start(),
            };
            let source = Source::connected(&server.url("/"));
            for _ in 0..10 {
                let mut connection = server.accept();
                for number in 0..10 {
                    let event = format!("data: {number}\n\n");
                    let head = if number == 0 { EVENT_STREAM } else { "" };
                    connection.send(head.to_owned() + &event);
                }
                source.opened();
                for number in 0..10 {
                    source.message(&number.to_string());
                }
                connection.finish();
                source.ended();
            }
            source.close();
            source.closed(Error::None);
        }
        STORM.store(false, SeqCst);
        storm.join().unwrap();
        assert!(!HANDLED.load(SeqCst), "a handler ran on our thread");
    });
}

/// Signals: every thread, those of look-ups too, has all of them blocked but
/// those that faults of its own raise.
#[test]
fn signals_are_blocked_on_every_thread() {
    alone("signals_are_blocked_on_every_thread", || {
        let look_up = stage(Phase::LookUp);
        let open = stage(Phase::SilentBody);
        let threads = threads();
        assert!(threads.len() >= 3, "two sources, one look-up: {threads:?}");
        let faults = [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGSYS,
        ];
        for thread in threads {
            let status = std::fs::read_to_string(thread.join("status"));
            let status = status.expect("a thread that waits");
            let mask = status.lines().find_map(|l| l.strip_prefix("SigBlk:"));
            let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
            for signal in 1..=libc::SIGRTMAX() {
                // The C library's own are between the two kinds.
                if signal >= 32 && signal < libc::SIGRTMIN() {
                    continue;
                }
                let expected = !faults.contains(&signal)
                    && ![libc::SIGKILL, libc::SIGSTOP].contains(&signal);
                let blocked = mask & 1 << (signal - 1) != 0;
                assert_eq!(blocked, expected, "{signal} on {thread:?}");
            }
        }
        drop((look_up, open));
    });
}

/// Descriptors: a program may have closed its first three.
#[test]
fn the_first_descriptors_are_like_others() {
    alone("the_first_descriptors_are_like_others", || {
        let server = Server::start();
        // SAFETY: put back below, before anybody writes to them.
        let kept = [0, 1, 2].map(|fd| unsafe {
            let kept = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 100);
            libc::close(fd);
            kept
        });
        let source = Source::connected(&server.url("/"));
        for _ in 0..3 {
            let mut connection = server.accept();
            connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
            source.opened();
            source.message("x");
            connection.finish();
            source.ended();
        }
        source.handle().free();
        drop(server);
        for (fd, kept) in (0..).zip(kept) {
            // SAFETY: ours again.
            unsafe { libc::dup2(kept, fd) };
        }
    });
}

/// Logging: no lock is held while the program is told a line, whatever led to
/// the line: the callback may call any function of the source.
#[test]
fn a_log_callback_may_use_the_source() {
    use eventsource::ffi;
    use std::sync::atomic::AtomicPtr;

    static SOURCE: AtomicPtr<ffi::CSource> =
        AtomicPtr::new(std::ptr::null_mut());
    static LINES: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn on_log(
        _: ffi::LogLevel,
        _: *const c_char,
        _: *mut std::ffi::c_void,
    ) {
        LINES.fetch_add(1, SeqCst);
        let source = SOURCE.load(SeqCst);
        let never = std::ptr::null_mut();
        // SAFETY: NULL, or a source that is freed after the last line.
        unsafe {
            ffi::eventsource_set_header(source, c"X".as_ptr(), c"".as_ptr());
            ffi::eventsource_set_proxy(source, c"".as_ptr());
            ffi::eventsource_set_ca_file(source, std::ptr::null());
            ffi::eventsource_set_stack_size(source, 0);
            ffi::eventsource_on_comment(source, None, never);
            ffi::eventsource_set_last_event_id(source, c"1".as_ptr());
            ffi::eventsource_last_event_id(source, std::ptr::null_mut(), 0);
            ffi::eventsource_ready_state(source);
            let mut id = 0;
            let message = c"message".as_ptr();
            ffi::eventsource_add_listener(
                source,
                message,
                Some(nothing),
                never,
                None,
                &mut id,
            );
            ffi::eventsource_remove_listener(source, id);
            ffi::eventsource_wait(source, 0);
        }
    }
    extern "C" fn nothing(
        _: *mut ffi::CSource,
        _: *const ffi::CEvent,
        _: *mut std::ffi::c_void,
    ) {
    }

    alone("a_log_callback_may_use_the_source", || {
        ffi::eventsource_set_log(4, Some(on_log), std::ptr::null_mut());
        let server = Server::start();
        // A bundle with one broken certificate.
        let _ = certificates::trusted("127.0.0.1");
        let bundle = std::env::var("SSL_CERT_FILE").expect("set above");
        let bundle = std::fs::read_to_string(bundle).expect("a bundle");
        let broken = bundle.replacen("\nMI", "\nAA", 1);
        let file = scratch("broken-bundle.pem");
        std::fs::write(&file, bundle + &broken).expect("scratch space");
        promptly("a source that logs", move || {
            let source = Source::new(&server.url("/"));
            SOURCE.store(source.handle().as_ptr(), SeqCst);
            assert_eq!(LINES.load(SeqCst), 0);
            assert_eq!(source.set_ca_file(Some(&file)), Error::None);
            assert_eq!(LINES.load(SeqCst), 1, "a certificate is broken");
            let source = source.start();
            let mut connection = server.accept();
            connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
            connection.finish();
            server.accept().answer("404 Not Found", "");
            source.skip_to_close();
            assert_eq!(source.wait(10_000), Error::None);
            assert!(LINES.load(SeqCst) > 4, "connecting, open, lost, refused");
        });
    });
}

/// Threads: calls need little of the stack of whoever makes them.
#[test]
fn calls_come_from_small_threads() {
    alone("calls_come_from_small_threads", || {
        let server = Server::start();
        let url = server.url("/");
        let small = std::thread::Builder::new().stack_size(64 << 10);
        let caller = small.spawn(move || {
            let source = Source::new(&url).with_header("X-A", "b").start();
            source.opened();
            source.message("x");
            source.close();
            source.closed(Error::None);
        });
        let mut connection = server.accept();
        connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
        caller.expect("a thread").join().expect("room enough");
    });
}

/// Stack: the least that a program may set is enough for the library itself,
/// for look-up and TLS, too.
#[test]
fn the_least_stack_is_enough() {
    alone("the_least_stack_is_enough", || {
        for secure in [false, true] {
            names::resolve("least-stack.test", &[[127, 0, 0, 1].into()]);
            let (server, scheme) = match secure {
                true => {
                    let config = certificates::trusted("least-stack.test");
                    (Server::secure(config), "https")
                }
                false => (Server::start(), "http"),
            };
            let url = server.url("/");
            let (_, port) = url.rsplit_once(':').unwrap();
            let url = format!("{scheme}://least-stack.test:{port}");
            let source = Source::new(&url);
            // SAFETY: a source that has not been connected.
            let error = unsafe {
                let source = source.handle().as_ptr();
                eventsource::ffi::eventsource_set_stack_size(source, 128 << 10)
            };
            assert_eq!(error, Error::None);
            let source = source.start();
            for _ in 0..2 {
                let mut connection = server.accept();
                connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
                source.opened();
                source.message("x");
                connection.finish();
                source.ended();
            }
        }
    });
}

/// A program may load the library again and again: it stays, and leaves
/// nothing behind but itself.
#[test]
fn loading_and_unloading_leaves_nothing() {
    alone("loading_and_unloading_leaves_nothing", || {
        let this = std::env::current_exe().expect("a program");
        let library = this.with_file_name("libeventsource.so");
        let path = library.into_os_string().into_encoded_bytes();
        let path = std::ffi::CString::new(path).expect("a path");
        type New = unsafe extern "C" fn(*const i8, *mut *mut u8) -> i32;
        type Act = unsafe extern "C" fn(*mut u8) -> i32;
        let round = || {
            // SAFETY: the library's functions, with their types.
            unsafe {
                let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
                assert!(!library.is_null(), "dlopen");
                let symbol = |name: &std::ffi::CStr| {
                    let symbol = libc::dlsym(library, name.as_ptr());
                    assert!(!symbol.is_null(), "{name:?}");
                    symbol
                };
                let new: New = std::mem::transmute(symbol(c"eventsource_new"));
                let connect: Act =
                    std::mem::transmute(symbol(c"eventsource_connect"));
                let free: Act =
                    std::mem::transmute(symbol(c"eventsource_free"));
                let mut source = std::ptr::null_mut();
                let url = CString::new(NOBODY).unwrap();
                assert_eq!(new(url.as_ptr(), &mut source), 0);
                assert_eq!(connect(source), 0);
                free(source);
                assert_eq!(libc::dlclose(library), 0);
            }
        };
        round();
        let before = (count("fd"), count("task"), mappings());
        for _ in 0..200 {
            round();
        }
        assert_eq!((count("fd"), count("task"), mappings()), before);
    });
}

/// How often the library is mapped.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    maps.lines().filter(|line| line.ends_with("libeventsource.so")).count()
}
