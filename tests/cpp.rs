//! The wrapper for C++: that it is good C++, leaves nothing of the C header
//! out, and keeps what it promises, under the address sanitizer.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use support::api::API;
use support::program::{
    Ended, Program, SANITIZED, WARNINGS, build, compile, path, scratch, succeed,
};
use support::streams::{
    HEAD, flood, in_the_readme, last_event_id, lose, serve, wait_for_the_end_of,
};

/// Further warnings that a program's own sources may be compiled with.
const MORE_WARNINGS: [&str; 4] =
    ["-Wshadow", "-Wconversion", "-Wold-style-cast", "-Wextra-semi"];

/// C functions that the wrapper does without.
const LEFT_OUT: [&str; 1] = [
    // For programs to which each call is dear: here it is not.
    "eventsource_next_batch",
];

/// The code of the wrapper, without comments.
fn code() -> String {
    let wrapper = fs::read_to_string(path("bindings/cpp/eventsource.hpp"));
    let wrapper = wrapper.expect("a wrapper");
    let lines = wrapper.lines();
    let code = lines.filter_map(|line| line.split("//").next());
    code.map(|line| format!("{line}\n")).collect()
}

/// What is named in some code, from a prefix on.
fn names<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|name| name.starts_with(prefix))
        .collect()
}

// What there is

#[test]
fn calls_every_function_of_the_header() {
    let code = code();
    let named = names(&code, "eventsource_");
    for function in &API.functions {
        let left_out = LEFT_OUT.contains(&&*function.name);
        let name = &*function.name;
        assert_eq!(named.contains(name), !left_out, "{name}");
    }
}

#[test]
fn has_a_method_of_the_same_name_for_every_setter() {
    let code = code();
    for function in &API.functions {
        let Some(name) = function.name.strip_prefix("eventsource_") else {
            continue;
        };
        let takes_source = function.parameters[..]
            .first()
            .is_some_and(|first| first == "eventsource *source");
        let sets = ["set_", "on_"].iter().any(|it| name.starts_with(it));
        if !takes_source || !sets {
            continue;
        }
        let (_, methods) =
            code.split_once("class [[nodiscard]] EventSource {").expect("it");
        let start = format!("    void {name}(");
        let (_, method) = methods.split_once(&start).unwrap_or_else(|| {
            panic!("EventSource has no method {name}");
        });
        let (body, _) = method.split_once("\n    }\n").expect("its end");
        assert!(
            names(body, "eventsource_").contains(&*function.name),
            "{name}"
        );
    }
}

#[test]
fn has_every_enumerator_of_the_header() {
    let code = code();
    let named = names(&code, "EVENTSOURCE_");
    for enumerator in API.enumerators() {
        let name = &*enumerator.name;
        assert!(named.contains(name), "{name}");
    }
}

#[test]
fn shows_every_field_of_the_header() {
    let code = code();
    for name in API.members() {
        let shown = ["->", "."].map(|by| format!("{by}{name}"));
        assert!(shown.iter().any(|it| code.contains(it)), "{name}");
    }
}

// Good C++

#[test]
fn is_clean_cpp() {
    for compiler in ["g++", "clang++"] {
        for std in ["-std=c++17", "-std=c++20"] {
            for flags in [&[] as &[&str], &["-fno-exceptions", "-fno-rtti"]] {
                let mut check = Command::new(compiler);
                check.args([std, "-fsyntax-only"]).args(flags);
                check.args(WARNINGS).args(MORE_WARNINGS);
                check.arg("-I").arg(path("include"));
                check.arg("-I").arg(path("bindings/cpp"));
                check.arg(path("tests/cpp/header.cpp"));
                succeed(check);
            }
        }
    }
}

#[test]
fn refuses_what_would_be_lost_or_dangle() {
    let refused = [
        // A result that is lost.
        "source.next();",
        "source.next(std::chrono::seconds(1));",
        "source.wait(std::chrono::seconds(1));",
        "source.begin();",
        "make_error_code(sse::Errc::url);",
        "made();",
        // A view that is kept.
        "for (auto event : source) (void)event;",
        "auto event = *source.begin();",
        "std::vector<sse::Event>().push_back(*source.begin());",
        "auto item = source.next(); item = source.next();",
        "source.on_error([](sse::Failure failure) { (void)failure; });",
        "source.on_open([](const sse::Response &it) { [it] {}(); });",
    ];
    let taken = [
        "(void)source.next();",
        "source.wait();",
        "(void)made();",
        "for (const sse::Event &event : source) (void)event;",
        "for (const auto &event : source) (void)event;",
        "sse::OwnedEvent event = *source.begin();",
        "std::vector<sse::OwnedEvent>().push_back(*source.begin());",
        "while (auto item = source.next()) std::visit([](auto &) {}, *item);",
    ];
    let program = |statements: &[&str]| {
        let mut program = "#include <eventsource.hpp>\n#include <vector>\n\
             sse::EventSource made();\n"
            .to_owned();
        for (number, statement) in statements.iter().enumerate() {
            program += &format!(
                "void go{number}(sse::EventSource &); \
                 void go{number}(sse::EventSource &source) \
                 {{ (void)source; {statement} }}\n"
            );
        }
        program
    };
    for compiler in ["g++", "clang++"] {
        let check = |name: &str, statements: &[&str]| {
            let file = scratch(&format!("{name}-{compiler}.cpp"));
            fs::write(&file, program(statements)).expect("scratch space");
            let mut check = Command::new(compiler);
            check.args(["-std=c++17", "-fsyntax-only"]).args(WARNINGS);
            check.arg("-Wno-unused-variable");
            check.arg("-I").arg(path("include"));
            check.arg("-I").arg(path("bindings/cpp")).arg(&file);
            check
        };
        succeed(check("taken", &taken));
        let output = check("refused", &refused).output().expect("a compiler");
        let said = String::from_utf8_lossy(&output.stderr);
        for (number, statement) in refused.iter().enumerate() {
            let line = format!("refused-{compiler}.cpp:{}:", number + 4);
            assert!(said.contains(&line), "{compiler}: {statement}\n{said}");
        }
    }
}

#[test]
fn is_included_in_many_units_of_one_program() {
    for compiler in ["g++", "clang++"] {
        let mut command = Command::new(compiler);
        command.arg("-std=c++17");
        let units = ["tests/cpp/header.cpp", "tests/cpp/header_too.cpp"];
        let [one, two] = units.map(path);
        let name = format!("units-{compiler}");
        let program = build(command, &[one.as_ref(), two.as_ref()], &name);
        succeed(Command::new(program));
    }
}

#[test]
fn does_without_exceptions() {
    let mut command = Command::new("g++");
    command.args(["-std=c++17", "-fno-exceptions"]);
    let source = path("tests/cpp/no_exceptions.cpp");
    let program = build(command, &[source.as_ref()], "no-exceptions");
    let mut command = Command::new(program);
    command.arg(server() + "/twice");
    let ended = Program::start(command).end();
    assert_eq!(ended.lines, ["one", "two", "lines"], "{ended:?}");
    assert_eq!(ended.status, None, "{ended:?}");
}

#[test]
fn is_a_range_of_cpp20() {
    // clang++ 14 cannot take the views of libstdc++ 12.
    let mut command = Command::new("g++");
    command.arg("-std=c++20");
    let source = path("tests/cpp/ranges.cpp");
    let program = build(command, &[source.as_ref()], "ranges");
    let mut command = Command::new(program);
    command.arg(server() + "/flood");
    let ended = Program::start(command).end();
    assert_eq!(ended.lines, ["event 2", "event 4"], "{ended:?}");
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

// What is shown

#[test]
fn the_program_in_the_readme_prints_events_until_the_server_says_no_more() {
    let source = scratch("readme.cpp");
    fs::write(&source, in_the_readme("cpp")).expect("scratch space");
    let mut program = Command::new(compile(&source));
    program.arg(server() + "/twice");
    let ended = Program::start(program).end();
    assert_eq!(ended.lines, ["message: one", "ping: two", "lines"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn the_programs_in_the_wrapper_compile() {
    let wrapper = fs::read_to_string(path("bindings/cpp/eventsource.hpp"));
    let wrapper = wrapper.expect("a wrapper");
    let shown: Vec<_> = wrapper
        .lines()
        .take_while(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("//     "))
        .collect();
    let end = shown.iter().position(|line| *line == "}").expect("its end");
    let (program, range) = shown.split_at(end + 1);
    assert!(range.len() > 3, "{range:?}");
    let source = scratch("wrapper.cpp");
    let program = format!(
        "{}\nvoid pull(sse::EventSource &source);\n\
         void pull(sse::EventSource &source)\n{{\n{}\n}}\n",
        program.join("\n"),
        range.join("\n")
    );
    fs::write(&source, program).expect("scratch space");
    compile(&source);
}

// What it promises

/// tests/cpp/source.cpp, compiled once.
static SOURCE: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut command = Command::new("g++");
    command.arg("-std=c++17").args(SANITIZED).args(MORE_WARNINGS);
    build(command, &[path("tests/cpp/source.cpp").as_ref()], "source")
});

fn run(case: &str) -> Ended {
    let mut command = Command::new(&*SOURCE);
    command.args([case, &server()]);
    Program::start(command).end()
}

macro_rules! promises {
    ($($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let ended = run(stringify!($case));
                assert_eq!(ended.lines, ["passed"], "{ended:?}");
                assert_eq!(ended.status, Some(0), "{ended:?}");
            }
        )*

        const PROMISES: &[&str] = &[$(stringify!($case)),*];
    };
}

promises! {
    tells_handlers_all_that_happens
    asks_as_it_was_told_to
    takes_bodies_that_are_empty_and_none
    takes_nothing_for_what_c_takes_null
    takes_text_as_the_program_has_it
    takes_every_setting
    decides_whether_to_come_back
    aborts_an_attempt
    decides_about_responses
    waits_no_longer_than_it_is_told_to
    comes_back_at_once_when_told_to
    handlers_own_what_cannot_be_copied
    an_empty_function_is_no_handler
    listeners_come_and_go_inside_handlers
    listeners_come_and_go_from_other_threads
    a_listener_is_refused_whole
    is_moved_while_handlers_run
    is_empty_when_moved_away
    is_destroyed_in_any_handler
    is_destroyed_in_on_close
    is_destroyed_in_pull_mode_by_a_handler
    is_replaced_in_its_handler
    waits_for_its_handlers_when_destroyed
    calls_no_handler_after_close
    tells_items_all_that_happens
    is_a_range_of_events
    an_owned_event_is_kept
    a_range_is_left_and_taken_up_again
    a_loop_waits_for_the_descriptor
    a_queue_and_handlers_do_not_go_together
    errors_are_thrown
    errors_are_error_codes
    takes_a_source_over_from_c
    logs
    a_loop_drives_many_sources
    loops_and_sources_are_destroyed
    a_parser_dispatches_events
    a_parser_has_what_reconnecting_takes
    a_parser_reads_what_a_callable_brings
    a_parser_is_destroyed_in_its_handler
}

#[test]
fn an_exception_in_a_handler_ends_the_program() {
    let ended = run("an_exception_in_a_handler_ends_the_program");
    assert_eq!(ended.lines, [""; 0], "{ended:?}");
    assert_eq!(ended.status, None, "{ended:?}");
    assert!(ended.stderr.contains("out of a handler"), "{ended:?}");
}

#[test]
fn every_case_is_run() {
    let source = fs::read_to_string(path("tests/cpp/source.cpp"));
    let source = source.expect("cases");
    let cases = source.matches("    CASE(").count();
    assert_eq!(cases, PROMISES.len() + 1);
}

/// The streams that tests/cpp/source.cpp asks for.
fn server() -> String {
    let url = serve(|_, request, stream| {
        match request.split(' ').nth(1).unwrap_or_default() {
            "/twice" if last_event_id(request) == "none" => {
                say_two_events(stream)
            }
            "/echo" => echo(request, stream),
            "/flood" => flood(stream),
            "/lost" => lose(stream),
            "/moved" => (&stream)
                .write_all(b"HTTP/1.1 302 Found\r\nLocation: gone\r\n\r\n"),
            "/silent" => {
                (&stream).write_all(HEAD.as_bytes())?;
                wait_for_the_end_of(stream)
            }
            _ => (&stream).write_all(
                b"HTTP/1.1 404 Not Found\r\nX-Why: because\r\n\
                  Content-Length: 12\r\n\r\nnothing here",
            ),
        }
    });
    url.trim_end_matches('/').to_owned()
}

/// Two events, and the connection is lost.
fn say_two_events(mut stream: TcpStream) -> io::Result<()> {
    let body = "retry: 10\n: a comment\nid: 1\ndata: one\n\n\
                event: ping\nid: 2\ndata: two\ndata: lines\n\n";
    stream.write_all(format!("{HEAD}{body}").as_bytes())
}

/// The request as one event, and a good end.
fn echo(request: &str, mut stream: TcpStream) -> io::Result<()> {
    let header = |name: &str| {
        request
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let len = header("content-length").and_then(|len| len.parse().ok());
    let mut body = vec![0; len.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body);
    let lines = request.lines().chain(body.lines());
    let event: String = lines.map(|line| format!("data: {line}\n")).collect();
    let event = event + "\n";
    let head = HEAD.trim_end();
    let response =
        format!("{head}\r\nContent-Length: {}\r\n\r\n{event}", event.len());
    stream.write_all(response.as_bytes())
}
