//! `make install` puts the library where C programs are built with it by
//! pkg-config, CMake and Meson, and `make uninstall` takes all of it away.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, read_link};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::thread;
use support::api::API;
use support::program::{Program, SONAME, WARNINGS, path, scratch, succeed};
use support::streams::{HEAD, serve};

/// The library's real file.
const FILE: &str = concat!("libeventsource.so.", env!("CARGO_PKG_VERSION"));

/// What `make` has built is installed here, once.
static PREFIX: LazyLock<PathBuf> = LazyLock::new(|| {
    let prefix = scratch("installed");
    _ = fs::remove_dir_all(&prefix);
    succeed(make(&["library"]));
    succeed(make(&["install", &format!("PREFIX={}", prefix.display())]));
    prefix
});

fn lib() -> PathBuf {
    PREFIX.join("lib")
}

/// `make` as a person runs it.
fn make(arguments: &[&str]) -> Command {
    let mut make = tool("make");
    make.arg("-C").arg(path("")).args(arguments);
    // Where `make test` has built already. Cargo locks its directory for
    // debugging and the one for release apart.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    make.env("CARGO_TARGET_DIR", target.expect("tmp is in a directory"));
    // A program of ours is found before the system's ldconfig.
    let ldconfig = scratch("bin/ldconfig");
    fs::create_dir_all(scratch("bin")).expect("scratch space");
    let script = "#!/bin/sh\necho \"$0\" >>\"$LDCONFIG_CALLS\"\n";
    fs::write(&ldconfig, script).expect("scratch space");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&ldconfig, executable).expect("our own file");
    let ours = ldconfig.parent().expect("bin").display().to_string();
    let others = env::var("PATH").unwrap_or_default();
    make.env("PATH", format!("{ours}:{others}"));
    make.env("LDCONFIG_CALLS", "/dev/null");
    make
}

/// A tool in the environment that `cargo test` was started in. What that adds
/// would have its own libraries found first, and all built anew.
fn tool(name: &str) -> Command {
    let mut tool = Command::new(name);
    for name in ["LD_LIBRARY_PATH", "OUT_DIR", "PKG_CONFIG_PATH"] {
        tool.env_remove(name);
    }
    for (name, _) in env::vars() {
        let added = ["CARGO_PKG_", "CARGO_MANIFEST_", "MAKE", "CARGO_MAKE"];
        if added.iter().any(|start| name.starts_with(start)) {
            tool.env_remove(name);
        }
    }
    tool
}

fn output(tool: Command) -> String {
    String::from_utf8(succeed(tool).stdout).expect("tools print ASCII")
}

/// The files and links below a directory.
pub(crate) fn files(directory: &Path) -> BTreeSet<String> {
    let mut find = tool("find");
    find.arg(directory).args(["!", "-type", "d", "-printf", "%P\n"]);
    output(find).lines().map(str::to_owned).collect()
}

fn functions() -> BTreeSet<String> {
    API.functions.iter().map(|function| function.name.clone()).collect()
}

// What is installed

#[test]
fn installs_what_a_c_library_has_and_the_command() {
    let mut expected: BTreeSet<String> = [
        "bin/eventsource",
        "include/eventsource.h",
        "include/eventsource.hpp",
        "lib/cmake/eventsource/eventsource-config-version.cmake",
        "lib/cmake/eventsource/eventsource-config.cmake",
        "lib/libeventsource.a",
        "lib/libeventsource.so",
        "lib/pkgconfig/eventsource.pc",
        "share/doc/libeventsource/CHANGELOG.md",
        "share/doc/libeventsource/LICENSE-APACHE",
        "share/doc/libeventsource/LICENSE-MIT",
        "share/doc/libeventsource/LICENSE-THIRD-PARTY",
        "share/doc/libeventsource/README.md",
        "share/doc/libeventsource/SECURITY.md",
        "share/doc/libeventsource/STANDARD.md",
        "share/doc/libeventsource/libeventsource.cdx.json",
        "share/bash-completion/completions/eventsource",
        "share/eventsource/valgrind.supp",
        "share/fish/vendor_completions.d/eventsource.fish",
        "share/man/man1/eventsource.1",
        "share/man/man3/eventsource.3",
        "share/zsh/site-functions/_eventsource",
    ]
    .map(str::to_owned)
    .into();
    expected.insert(format!("lib/{SONAME}"));
    expected.insert(format!("lib/{FILE}"));
    for function in functions() {
        expected.insert(format!("share/man/man3/{function}.3"));
    }
    for directory in ["docs", "examples"] {
        for file in files(&path(directory)) {
            let to = format!("share/doc/libeventsource/{directory}/{file}");
            expected.insert(to);
        }
    }
    assert_eq!(files(&PREFIX), expected);
}

/// The Go module is fetched from where the project says that it is.
#[test]
fn tells_where_the_project_lives() {
    let home = env!("CARGO_PKG_HOMEPAGE");
    let package = fs::read_to_string(lib().join("pkgconfig/eventsource.pc"));
    let package = package.expect("what pkg-config reads");
    assert!(package.contains(&format!("\nURL: {home}\n")), "{package}");
    assert_eq!(env!("CARGO_PKG_REPOSITORY"), home);
    let module = fs::read_to_string(path("bindings/go/go.mod"));
    let place = home.strip_prefix("https://").expect("a URL");
    let expected = format!("module {place}/bindings/go\n");
    assert!(module.expect("a module").starts_with(&expected), "{expected}");
}

#[test]
fn the_names_of_the_library_lead_to_one_file() {
    let target = |name| read_link(lib().join(name)).expect("a link");
    assert_eq!(target("libeventsource.so"), Path::new(SONAME));
    assert_eq!(target(SONAME), Path::new(FILE));
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    for (options, file) in
        [(["-D", "-g"], FILE), (["-g", "-P"], "libeventsource.a")]
    {
        let mut nm = tool("nm");
        nm.args(options).arg("--defined-only").arg("--format=just-symbols");
        let symbols = output({
            nm.arg(lib().join(file));
            nm
        });
        let exported: BTreeSet<String> = symbols
            .lines()
            .filter(|line| !line.is_empty() && !line.ends_with(':'))
            .map(str::to_owned)
            .collect();
        assert_eq!(exported, functions(), "{file}");
    }
}

#[test]
fn the_library_is_hardened_and_stays_when_closed() {
    let mut readelf = tool("readelf");
    readelf.args(["--dynamic", "--program-headers", "--wide"]);
    readelf.arg(lib().join(FILE));
    let elf = output(readelf);
    assert!(elf.contains(&format!("Library soname: [{SONAME}]")), "{elf}");
    assert!(elf.contains("NODELETE"), "{elf}");
    // Full RELRO: all is bound at the start, and read-only from then on.
    assert!(elf.contains("GNU_RELRO"), "{elf}");
    assert!(elf.contains("BIND_NOW"), "{elf}");
    let stack = elf.lines().find(|line| line.contains("GNU_STACK"));
    let stack = stack.expect("the stack's flags");
    assert!(stack.contains(" RW ") && !stack.contains("RWE"), "{stack}");
    assert!(!elf.contains("TEXTREL"), "{elf}");
    assert!(!elf.contains("RPATH") && !elf.contains("RUNPATH"), "{elf}");
}

/// Neither the builder's home directory nor the tree: what is in there is no
/// concern of those who get the library, and differs from builder to builder.
#[test]
fn the_library_names_no_path_of_the_builder() {
    let home = env::var("HOME").expect("a home directory");
    let cargo = env::var("CARGO_HOME");
    let cargo = cargo.unwrap_or_else(|_| format!("{home}/.cargo"));
    let mut rustc = tool("rustc");
    rustc.args(["--print", "sysroot"]);
    let toolchain = output(rustc);
    let tree = path("").display().to_string();
    for file in [FILE, "libeventsource.a"] {
        let library = fs::read(lib().join(file)).expect("a library");
        for place in [&*cargo, toolchain.trim_end(), tree.trim_end_matches('/')]
        {
            let found = memchr::memmem::find(&library, place.as_bytes());
            assert_eq!(found, None, "{file}: {place}");
        }
    }
}

#[test]
fn the_readme_tells_the_size_of_the_library() {
    let size = fs::metadata(lib().join(FILE)).expect("a library").len();
    let readme = fs::read_to_string(path("README.md")).expect("a readme");
    let (before, _) = readme.split_once(" MB shared").expect("a size");
    let said = before.rsplit([' ', '\n', '(']).next().expect("a number");
    let said: f64 = said.parse().expect("megabytes");
    let real = size as f64 / 1e6;
    assert!((said - real).abs() < 0.3, "{said} MB in the readme, is {real}");
}

/// The command is linked with the library that is installed beside it.
#[test]
fn the_command_follows_a_stream() {
    let url = serve(|_, _, mut stream| {
        stream.write_all(format!("{HEAD}data: hello\n\n").as_bytes())
    });
    let command = PREFIX.join("bin/eventsource");
    let mut command = tool(command.to_str().expect("UTF-8"));
    command.args(["--retry", "0", &url]).env("LD_LIBRARY_PATH", lib());
    let ended = Program::start(command).end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.lines, ["hello"]);
}

// Programs that are built with it

#[test]
fn pkg_config_is_all_that_a_compiler_needs() {
    for (compiler, source) in [("cc", "consumer.c"), ("c++", "consumer.cpp")] {
        for how in ["shared", "static"] {
            let is_static = how == "static";
            let mut flags = with_pkg_config(tool("pkg-config"));
            flags.args(["--cflags", "--libs", "eventsource"]);
            flags.args(is_static.then_some("--static"));
            let program = scratch(&format!("{how}-{compiler}"));
            let mut command = tool(compiler);
            command.args(WARNINGS).arg("-o").arg(&program);
            command.args(is_static.then_some("-static"));
            command.arg(path("tests/package/consumer").join(source));
            command.args(output(flags).split_whitespace());
            succeed(command);
            follow(&program, how);
        }
    }
}

#[test]
fn cmake_finds_it() {
    let build = scratch("cmake");
    cmake(&build, &format!("CMAKE_PREFIX_PATH={}", PREFIX.display()));
    follow_all(&build);
}

#[test]
fn cmake_finds_it_where_it_was_moved_to() {
    // As an SDK is: libraries in a directory of the architecture, all of it
    // elsewhere than the prefix says.
    let root = scratch("moved");
    _ = fs::remove_dir_all(&root);
    install_for_a_package(&root);
    let build = scratch("cmake-moved");
    let lib = root.join("usr/lib/some-linux");
    let package = lib.join("cmake/eventsource");
    cmake(&build, &format!("eventsource_DIR={}", package.display()));
    for program in programs(&build) {
        let mut readelf = tool("readelf");
        readelf.arg("--dynamic").arg(&program);
        let elf = output(readelf);
        let shared = program.ends_with("shared-c");
        let lib = lib.to_str().expect("UTF-8");
        assert!(!shared || elf.contains(lib), "{elf}");
    }
}

fn cmake(build: &Path, definition: &str) {
    _ = fs::remove_dir_all(build);
    let mut configure = tool("cmake");
    configure.arg("-S").arg(path("tests/package/consumer"));
    configure.arg("-B").arg(build).arg(format!("-D{definition}"));
    succeed(configure);
    let mut compile = tool("cmake");
    compile.arg("--build").arg(build);
    succeed(compile);
}

#[test]
fn meson_finds_it() {
    let build = scratch("meson");
    _ = fs::remove_dir_all(&build);
    let mut setup = with_pkg_config(tool("meson"));
    setup.args(["setup", "--warnlevel=3", "--werror"]);
    setup.arg(&build).arg(path("tests/package/consumer"));
    succeed(setup);
    let mut compile = tool("meson");
    compile.args(["compile", "-C"]).arg(&build);
    succeed(compile);
    follow_all(&build);
}

#[test]
fn go_finds_it() {
    follow(&go("shared-go", &[]), "shared");
    follow(&go("static-go", &["-tags=eventsource_static"]), "static");
    let alone = ["-tags=eventsource_static", "-ldflags=-extldflags=-static"];
    follow(&go("alone-go", &alone), "static");
}

#[test]
fn another_rust_library_may_be_in_the_same_go_program() {
    let library = scratch("go-other/libother.a");
    fs::create_dir_all(library.parent().expect("a directory")).expect("space");
    let mut rustc = tool("rustc");
    rustc.args(["--edition=2024", "--crate-type=staticlib", "-o"]);
    rustc.arg(&library).arg(path("tests/package/consumer/go/other.rs"));
    succeed(rustc);
    let program = go("other-go", &["-tags=eventsource_static,other"]);
    follow(&program, "static");
}

/// Builds the Go program, which downloads nothing.
fn go(name: &str, flags: &[&str]) -> PathBuf {
    let program = scratch(name);
    // Go does not see that the archive is another one.
    _ = fs::remove_file(&program);
    let mut go = with_pkg_config(tool("go"));
    go.current_dir(path("tests/package/consumer/go"));
    go.args(["build", "-o"]).arg(&program).args(flags);
    let (ours, other) = (lib(), scratch("go-other"));
    let flags = format!("-L{} -L{}", ours.display(), other.display());
    go.env("CGO_LDFLAGS", flags).env("GOFLAGS", "-buildvcs=false");
    go.envs([("GOTOOLCHAIN", "local"), ("GOPROXY", "off")]);
    succeed(go);
    program
}

fn with_pkg_config(mut tool: Command) -> Command {
    tool.env("PKG_CONFIG_PATH", lib().join("pkgconfig"));
    tool
}

fn programs(build: &Path) -> Vec<PathBuf> {
    let names = ["shared-c", "shared-cpp", "static-c", "static-cpp"];
    names.map(|name| build.join(name)).into()
}

fn follow_all(build: &Path) {
    for program in programs(build) {
        let name = program.file_name().expect("a name").to_string_lossy();
        let (how, _) = name.split_once('-').expect("how it is linked");
        follow(&program, how);
    }
}

/// Has a program that is linked `shared` or `static` follow a stream.
fn follow(program: &Path, how: &str) {
    let mut readelf = tool("readelf");
    readelf.arg("--dynamic").arg(program);
    let needs = output(readelf).contains(SONAME);
    assert_eq!(needs, how == "shared", "{}", program.display());

    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = server.local_addr().expect("a bound port");
    thread::spawn(move || {
        let (mut stream, _) = server.accept()?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        while lines.next().is_some_and(|l| l.is_ok_and(|l| !l.is_empty())) {}
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream";
        stream.write_all(format!("{head}\r\n\r\ndata: hello\n\n").as_bytes())
    });
    let mut command = tool(program.to_str().expect("UTF-8"));
    command.arg(format!("http://{address}/"));
    if needs {
        command.env("LD_LIBRARY_PATH", lib());
    }
    let ended = Program::start(command).end();
    assert_eq!(ended.status, Some(0), "{}: {ended:?}", program.display());
    assert_eq!(ended.lines, ["hello"]);
}

// As a packager installs it

pub(crate) fn install_for_a_package(root: &Path) {
    LazyLock::force(&PREFIX);
    succeed(package("install", root));
}

fn package(target: &str, root: &Path) -> Command {
    let destination = format!("DESTDIR={}", root.display());
    let directories = ["PREFIX=/usr", "LIBDIR=/usr/lib/some-linux"];
    let mut make = make(&[target, &destination]);
    make.args(directories);
    make
}

#[test]
fn a_package_is_installed_below_its_own_root_and_leaves_the_system_alone() {
    LazyLock::force(&PREFIX);
    let root = scratch("package");
    let calls = scratch("package.ldconfig");
    _ = fs::remove_dir_all(&root);
    _ = fs::remove_file(&calls);
    for target in ["install", "uninstall"] {
        let mut make = package(target, &root);
        make.env("LDCONFIG_CALLS", &calls);
        succeed(make);
        if target == "install" {
            let installed = files(&root);
            assert_eq!(installed.len(), files(&PREFIX).len());
            assert!(installed.iter().all(|file| file.starts_with("usr/")));
            assert!(installed.contains(&format!("usr/lib/some-linux/{FILE}")));
            // What is written knows nothing of the root.
            let mut grep = tool("grep");
            grep.args(["-rlF", "--include=*.pc", "--include=*.cmake"]);
            grep.arg(&root).arg(&root);
            let found = grep.output().expect("grep").stdout;
            assert_eq!(String::from_utf8_lossy(&found), "");
        }
    }
    assert_eq!(files(&root), BTreeSet::new(), "uninstalled");
    assert!(!root.join("usr/share/doc/libeventsource").exists());
    assert!(!root.join("usr/lib/some-linux/cmake/eventsource").exists());
    assert!(!calls.exists(), "ldconfig was called");
}

#[test]
fn the_system_is_told_of_a_library_that_is_installed_into_it() {
    LazyLock::force(&PREFIX);
    let prefix = scratch("told");
    let calls = scratch("told.ldconfig");
    _ = fs::remove_file(&calls);
    for (target, count) in [("install", 1), ("uninstall", 2)] {
        let prefix = format!("PREFIX={}", prefix.display());
        let mut make = make(&[target, &prefix]);
        make.env("LDCONFIG_CALLS", &calls);
        succeed(make);
        let calls = fs::read_to_string(&calls).expect("a call");
        assert_eq!(calls.lines().count(), count);
    }
    assert_eq!(files(&prefix), BTreeSet::new());
}
