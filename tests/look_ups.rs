//! Look-ups of host names: who wants the same name waits for the same answer,
//! and a resolver that is silent costs few threads and no descriptor. Each
//! test is a process of its own.

use eventsource::ffi;
use support::server::{Connection, EVENT_STREAM, Server};
use support::source::Source;
use support::{alone, event_loop, names, until};

/// How many threads look names up at a time.
const THREADS: usize = 32;

/// Enough for what is well to go well, and little to wait for.
const SHORT: u64 = 200;

/// How many threads of this process look names up.
fn look_ups() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    tasks
        .filter(|task| {
            let path = task.as_ref().expect("a thread").path().join("comm");
            std::fs::read_to_string(path)
                .is_ok_and(|name| name == "eventsource-dns\n")
        })
        .count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

fn here(name: &str) {
    names::resolve(name, &["127.0.0.1".parse().unwrap()]);
}

/// The event stream that a source is given.
fn stream(server: &Server) -> Connection {
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection
}

/// A source whose attempt comes to its end while another one waits for the
/// same name has asked nobody.
#[test]
fn one_name_is_looked_up_once() {
    alone("one_name_is_looked_up_once", || {
        let server = Server::start();
        names::hang("one.test");
        let first = Source::connected(&server.url_at("one.test", "/1"));
        names::wait_until_asked("one.test", 1);
        // The port is not what is looked up.
        let other = Server::start();
        for url in
            [server.url_at("one.test", "/2"), other.url_at("one.test", "/3")]
        {
            let second = Source::new(&url)
                .with(ffi::eventsource_set_connect_timeout, SHORT)
                .start();
            second.retrying(ffi::Error::Timeout);
            assert_eq!(names::times_asked("one.test"), 1);
        }
        here("one.test");
        let _stream = stream(&server);
        first.opened();
    });
}

/// All who wait for a name get the answer, each for its own port; one who
/// comes later asks anew.
#[test]
fn an_answer_is_for_all_who_wait_and_for_nobody_else() {
    alone("an_answer_is_for_all_who_wait_and_for_nobody_else", || {
        let servers = [(); 8].map(|()| Server::start());
        names::hang("all.test");
        let sources = servers
            .each_ref()
            .map(|server| Source::connected(&server.url_at("all.test", "/")));
        names::wait_until_asked("all.test", 1);
        here("all.test");
        // Kept, so that no source comes back.
        let _streams = servers.each_ref().map(stream);
        sources.iter().for_each(|source| drop(source.opened()));
        let asked = names::times_asked("all.test");
        let server = Server::start();
        let late = Source::connected(&server.url_at("all.test", "/"));
        let _stream = stream(&server);
        late.opened();
        assert_eq!(names::times_asked("all.test"), asked + 1);
    });
}

/// A failure is for all who wait, too.
#[test]
fn a_name_that_does_not_exist_is_told_to_all() {
    alone("a_name_that_does_not_exist_is_told_to_all", || {
        names::hang("none.test");
        let sources = [(); 8].map(|()| Source::connected("http://none.test/"));
        names::wait_until_asked("none.test", 1);
        names::refuse("none.test", libc::EAI_NONAME);
        for source in sources {
            source.retrying(ffi::Error::Resolve);
        }
    });
}

/// However many names are wanted at once, few threads look them up, and none
/// fails for that.
#[test]
fn many_names_wait_their_turn() {
    alone("many_names_wait_their_turn", || {
        let server = Server::start();
        let name = |number| format!("many-{number}.test");
        let names = (0..4 * THREADS).map(name).collect::<Vec<_>>();
        let mut sources = names
            .iter()
            .map(|name| {
                names::hang(name);
                Source::connected(&server.url_at(name, "/"))
            })
            .collect::<Vec<_>>();
        let asked =
            || -> usize { names.iter().map(|it| names::times_asked(it)).sum() };
        until("as many look-ups as there may be", || {
            asked() >= THREADS && look_ups() >= THREADS
        });
        // Of those that wait, the first half is not wanted any more.
        let wanted = sources.split_off(2 * THREADS);
        drop(sources);
        assert_eq!(asked(), THREADS);
        assert_eq!(look_ups(), THREADS);
        names.iter().for_each(|name| here(name));
        let _streams: Vec<_> = wanted.iter().map(|_| stream(&server)).collect();
        wanted.iter().for_each(|source| drop(source.opened()));
        assert!(asked() < 4 * THREADS, "a name that nobody wants is asked for");
        until("the end of the threads", || look_ups() == 0);
    });
}

/// What was left behind holds nothing of a source, neither where all wanted
/// the same name, nor where each had its own.
#[test]
fn look_ups_left_behind_hold_no_descriptor() {
    alone("look_ups_left_behind_hold_no_descriptor", || {
        names::hang("silent.test");
        let silent = |number| {
            let name = format!("silent-{number}.test");
            names::hang(&name);
            name
        };
        let names = (0..300).map(silent).collect::<Vec<_>>();
        // What drives all sources, if there is one, has its own.
        let is_on_loop = event_loop::of_new_sources().is_some();
        let before = descriptors();
        for name in &names {
            let sources =
                [name, "silent.test"].map(|it| format!("http://{it}/"));
            let sources = sources.map(|url| Source::connected(&url));
            names::wait_until_asked("silent.test", 1);
            drop(sources);
        }
        if is_on_loop {
            // Those that connect for it let go of an attempt soon.
            until("their end", || descriptors() == before);
        }
        assert_eq!(descriptors(), before);
        assert!(look_ups() <= THREADS, "{} threads", look_ups());
        // A name that was given up is asked for once more, not for ever.
        assert!(names::times_asked("silent.test") <= 2);
    });
}
