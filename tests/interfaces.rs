//! The interface that connections go out over, and the links of link-local
//! addresses: in a network of the test's own, with two cables to a server in
//! another one.

#![expect(
    unsafe_code,
    reason = "a network and a system call of the test's own"
)]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

use eventsource::ffi::{Error, eventsource_set_interface};
use support::network::{self, in_a_network, run};
use support::server::{EVENT_STREAM, Server};
use support::source::{Seen, Source};

/// Whether sockets may be bound to an interface by its name.
static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Takes the place of the C library's in the whole test program: a system that
/// does not let everybody bind to an interface, as Linux before 5.7.
#[unsafe(no_mangle)]
extern "C" fn setsockopt(
    socket: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: libc::socklen_t,
) -> c_int {
    if option == libc::SO_BINDTODEVICE && FORBIDDEN.load(SeqCst) {
        // SAFETY: the place is this thread's.
        unsafe { *libc::__errno_location() = libc::EPERM };
        return -1;
    }
    // SAFETY: as the caller has it.
    unsafe { network::setsockopt(socket, level, option, value, length) }
}

/// A server at the other end of two cables, whose ends here are `left` and
/// `right`. Both ends there have the same link-local address, fe80::2; those
/// here have fe80::10 and fe80::11. `left` has addresses of other kinds, too.
fn server_at_two_cables() -> Server {
    let (ask, asked) = mpsc::channel();
    let (moved, wait) = mpsc::channel();
    let beyond = thread::spawn(move || {
        // SAFETY: takes no pointers. From here on this thread, and what it
        // starts, has a network of its own.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        // SAFETY: as above.
        ask.send(unsafe { libc::gettid() }).unwrap();
        wait.recv().unwrap();
        for end in ["other-left", "other-right"] {
            run("ip", &["addr", "add", "fe80::2/64", "dev", end, "nodad"]);
            run("ip", &["link", "set", end, "up"]);
        }
        let (left, right) = ("other-left", "other-right");
        run("ip", &["addr", "add", "192.0.2.2/24", "dev", left]);
        run("ip", &["addr", "add", "2001:db8::2/64", "dev", left, "nodad"]);
        run("ip", &["addr", "add", "198.51.100.2/24", "dev", right]);
        // It listens there, wherever it is asked to accept.
        Server::at("[::]:0")
    });
    let other = asked.recv().unwrap().to_string();
    for (end, there, address) in [
        ("left", "other-left", "fe80::10/64"),
        ("right", "other-right", "fe80::11/64"),
    ] {
        let cable = ["type", "veth", "peer", "name", there, "netns", &other];
        run("ip", &[&["link", "add", end], &cable[..]].concat());
        run("ip", &["link", "set", end, "addrgenmode", "none", "up"]);
        run("ip", &["addr", "add", address, "dev", end, "nodad"]);
    }
    run("ip", &["addr", "add", "192.0.2.1/24", "dev", "left"]);
    run("ip", &["addr", "add", "2001:db8::1/64", "dev", "left", "nodad"]);
    moved.send(()).unwrap();
    beyond.join().expect("a server")
}

/// Where the server sees a source come from that goes out over `interface`.
fn comes_from(server: &Server, host: &str, interface: &str) -> String {
    let source = Source::new(&server.url_at(host, "/"))
        .with_text(eventsource_set_interface, interface)
        .start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    // A cable is not up at once.
    opened_at_last(&source);
    let named = format!("{host}:{}", server.port());
    assert_eq!(connection.request.header("host"), Some(&*named));
    let peer = connection.peer().ip().to_canonical();
    source.close();
    source.closed(Error::None);
    peer.to_string()
}

/// Waits until a source is open, however often it has tried before.
fn opened_at_last(source: &Source) {
    loop {
        match source.next() {
            Seen::Open(_) => return,
            Seen::Error(failure) => assert!(failure.will_retry),
            other => panic!("{other:?}"),
        }
    }
}

/// Why a source does not get out.
fn refused(server: &Server, host: &str, interface: Option<&str>) -> String {
    let mut source = Source::new(&server.url_at(host, "/"));
    if let Some(interface) = interface {
        source = source.with_text(eventsource_set_interface, interface);
    }
    source.start().retrying(Error::Connect).message
}

/// A link-local address in a URL is one of the link of the interface, whether
/// this is told by its name or by its own address, and whether or not the system
/// lets a socket be bound to a name.
#[test]
fn a_link_local_address_is_of_the_interfaces_link() {
    let name = "a_link_local_address_is_of_the_interfaces_link";
    in_a_network(name, || {
        let server = server_at_two_cables();
        let message = refused(&server, "[fe80::2]", None);
        assert!(message.contains("invalid argument"), "{message}");
        for forbidden in [false, true] {
            FORBIDDEN.store(forbidden, SeqCst);
            for (interface, from) in [
                ("left", "fe80::10"),
                ("right", "fe80::11"),
                ("fe80::10", "fe80::10"),
                ("fe80::11", "fe80::11"),
                ("2001:db8::1", "2001:db8::1"),
            ] {
                let peer = comes_from(&server, "[fe80::2]", interface);
                assert_eq!(peer, from, "{interface}");
            }
        }
    });
}

/// Connections go out over the interface and no other: over the wrong one they
/// do not arrive.
#[test]
fn connections_go_out_over_the_interface() {
    in_a_network("connections_go_out_over_the_interface", || {
        let server = server_at_two_cables();
        for forbidden in [false, true] {
            FORBIDDEN.store(forbidden, SeqCst);
            for interface in ["left", "192.0.2.1"] {
                let peer = comes_from(&server, "192.0.2.2", interface);
                assert_eq!(peer, "192.0.2.1", "{interface}");
            }
        }
        let message = refused(&server, "192.0.2.2", Some("right"));
        assert!(message.contains("no address of this kind"), "{message}");
        // By the system's routes it would be the other cable.
        FORBIDDEN.store(false, SeqCst);
        run("ip", &["addr", "add", "198.51.100.1/24", "dev", "right"]);
        let peer = comes_from(&server, "192.0.2.2", "right");
        assert_eq!(peer, "198.51.100.1");
        // Where the name will not do, the address has to.
        FORBIDDEN.store(true, SeqCst);
        run("ip", &["addr", "del", "198.51.100.1/24", "dev", "right"]);
        run("ip", &["addr", "add", "192.0.2.3/32", "dev", "right"]);
        let peer = comes_from(&server, "192.0.2.2", "right");
        assert_eq!(peer, "192.0.2.3");
    });
}

/// An interface that comes up later is used as soon as it is there.
#[test]
fn an_interface_may_come_up_later() {
    in_a_network("an_interface_may_come_up_later", || {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with_text(eventsource_set_interface, "late0")
            .start();
        let failure = source.retrying(Error::Connect);
        let words = "over late0: no such device";
        assert!(failure.message.contains(words), "{failure:?}");
        run("ip", &["link", "set", "lo", "down"]);
        run("ip", &["link", "set", "lo", "name", "late0", "up"]);
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        opened_at_last(&source);
    });
}
