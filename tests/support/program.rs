//! Programs that a test starts, watches and ends: C programs, compiled
//! against the header and the library that cargo has just built, and servers.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio, id};
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use eventsource::ffi::eventsource_version;

use crate::seen::text;

/// The name programs are linked with.
pub const SONAME: &str = "libeventsource.so.0";

/// How C is compiled here: every warning is an error.
pub const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// For programs that end at what is misused, undefined or lost.
pub const SANITIZED: [&str; 3] =
    ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// No program that a test starts lives this long, under valgrind neither.
const PATIENCE: Duration = Duration::from_secs(120);

/// The variables that name proxies.
pub const PROXIES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// A path in the package.
pub fn path(relative: &str) -> PathBuf {
    let support = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = support.ancestors().nth(2).expect("tests/support is below");
    root.join(relative)
}

/// A path for a test to write to, where cargo has it: in `tmp`, beside the
/// directory of the profile, in which `deps` has the test.
pub fn scratch(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test has a path");
    let target = test.ancestors().nth(3).expect("deps is below");
    target.join("tmp").join(name)
}

/// The library that cargo has just built. It leaves it beside the tests;
/// one directory up an older build may lie.
pub fn library() -> PathBuf {
    let test = env::current_exe().expect("a test has a path");
    test.with_file_name("libeventsource.so")
}

/// Where it has the name that programs are linked with, too.
pub fn library_directory() -> PathBuf {
    let library = library();
    let directory = library.parent().expect("the library is in a directory");
    match symlink("libeventsource.so", directory.join(SONAME)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            panic!("{SONAME}: {error}")
        }
        _ => {}
    }
    directory.to_owned()
}

/// Compiles a C program, or one in C++, and returns its path.
pub fn compile(source: &Path) -> PathBuf {
    compile_with(source, &[])
}

/// The same, with what other libraries need.
pub fn compile_with(source: &Path, flags: &[&str]) -> PathBuf {
    let is_cpp = source.extension().is_some_and(|it| it == "cpp");
    let name = source.file_stem().expect("a name").to_string_lossy();
    let (compiler, std, name) = match is_cpp {
        true => ("c++", "-std=c++17", format!("{name}-cpp")),
        false => ("cc", "-std=c11", name.into_owned()),
    };
    let mut command = Command::new(compiler);
    command.args([std, "-g"]);
    let flags = flags.iter().map(OsStr::new);
    let inputs: Vec<_> =
        [source.as_os_str()].into_iter().chain(flags).collect();
    build(command, &inputs, &name)
}

/// Has a compiler make a program of this name.
pub fn build(mut compiler: Command, inputs: &[&OsStr], name: &str) -> PathBuf {
    let directory = library_directory();
    let program = scratch("programs").join(name);
    fs::create_dir_all(scratch("programs")).expect("scratch space");
    // Tests run side by side, so a program is moved into place complete.
    let new = format!("{}.{:?}", id(), thread::current().id());
    let new = program.with_extension(new);
    compiler.args(WARNINGS).arg("-I").arg(path("include"));
    compiler.arg("-I").arg(path("bindings/cpp"));
    compiler.arg("-o").arg(&new).args(inputs);
    compiler.arg("-L").arg(&directory).arg("-leventsource").arg("-pthread");
    compiler.arg(format!("-Wl,-rpath,{}", directory.display()));
    succeed(compiler);
    fs::rename(&new, &program).expect("a program can be moved into place");
    program
}

/// Runs a tool to its end. Panics with what it printed unless it succeeds.
pub fn succeed(mut tool: Command) -> Output {
    let output = tool.output().unwrap_or_else(|error| missing(&tool, &error));
    assert!(
        output.status.success(),
        "{tool:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Python with what a file of requirements lists, made once in scratch space.
pub fn python_environment(name: &str, requirements: &str) -> PathBuf {
    let environment = scratch("python").join(name);
    let requirements = path(requirements);
    let wanted = fs::read(&requirements).expect("requirements");
    let installed = environment.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return environment;
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&environment);
    succeed(venv);
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]);
    pip.arg(requirements);
    succeed(pip);
    fs::write(installed, wanted).expect("scratch space");
    environment
}

/// Checks that a page of the manual is good mdoc.
#[track_caller]
pub fn check_page(page: &Path) {
    let mut mandoc = Command::new("mandoc");
    mandoc.args(["-T", "lint", "-W", "style"]).arg(page);
    let output =
        mandoc.output().unwrap_or_else(|error| missing(&mandoc, &error));
    let complaints = String::from_utf8_lossy(&output.stdout);
    // It looks for references among the pages that are installed.
    let complaints: Vec<_> = complaints
        .lines()
        .filter(|line| !line.contains("referenced manual not found"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// A tool that is not there fails the test: what is skipped is not tested.
fn missing(tool: &Command, error: &io::Error) -> ! {
    let tool = tool.get_program().to_string_lossy();
    let package = match &*tool {
        "abidiff" | "abidw" => "abigail-tools",
        "cc" => "gcc",
        "c++" => "g++",
        "clang++" => "clang",
        "nm" | "readelf" => "binutils",
        "danted" => "dante-server",
        "go" | "gofmt" => "Go 1.23 or newer",
        "ip" => "iproute2",
        "nft" => "nftables",
        "php" => "php-cli",
        "nginx" => "nginx and libnginx-mod-nchan",
        "python3" => "python3-venv",
        other => other,
    };
    panic!("{tool}: {error}; the tests need it: install {package}")
}

/// What pkg-config finds: the library as it has just been built.
static PACKAGE: LazyLock<String> = LazyLock::new(|| {
    let template = fs::read_to_string(path("packaging/eventsource.pc.in"));
    let package = template
        .expect("a template")
        .replace("@VERSION@", &text(eventsource_version()))
        .replace("-L${libdir} ", "")
        .replace("@INCLUDEDIR@", path("include").to_str().expect("UTF-8"));
    let packages = scratch("go");
    fs::create_dir_all(&packages).expect("scratch space");
    fs::write(packages.join("eventsource.pc"), package).expect("scratch space");
    packages.to_str().expect("UTF-8").to_owned()
});

/// `go` in the module for Go, which downloads nothing.
pub fn go(arguments: &[&str]) -> Command {
    let mut go = Command::new("go");
    go.current_dir(path("bindings/go")).args(arguments);
    go.env("PKG_CONFIG_PATH", &*PACKAGE);
    // Go remembers what it has built with which of these, and not what
    // pkg-config has said.
    let directory = library_directory();
    let directory = directory.to_str().expect("UTF-8");
    let flags = format!("-L{directory} -Wl,-rpath,{directory}");
    go.env("CGO_LDFLAGS", flags);
    go.envs([("GOTOOLCHAIN", "local"), ("GOPROXY", "off")]);
    go.env("GOFLAGS", "-buildvcs=false").env_remove("LD_LIBRARY_PATH");
    for name in PROXIES {
        go.env_remove(name);
    }
    go
}

/// A running program, and what it has printed. Killed when dropped.
pub struct Program {
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    lines: Vec<String>,
    deadline: Instant,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; None if a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The lines of standard output.
    pub lines: Vec<String>,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    pub fn start(mut command: Command) -> Self {
        let given: Vec<_> =
            command.get_envs().map(|(name, _)| name.to_owned()).collect();
        // What a test runs is here; the proxy of this machine is not.
        for name in PROXIES.iter().filter(|name| !given.contains(&name.into()))
        {
            command.env_remove(name);
        }
        // cargo's own names the directory in which an older build may lie.
        if !given.contains(&"LD_LIBRARY_PATH".into()) {
            command.env_remove("LD_LIBRARY_PATH");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| missing(&command, &error));
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                // Nobody listens any more when the test is over.
                _ = sender.send(line);
            }
        });
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            child,
            stdout: receiver,
            stderr: Some(stderr),
            lines: Vec::new(),
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// Waits for a line that begins with `start`.
    pub fn wait_for(&mut self, start: &str) {
        self.wait_until(|line| line.starts_with(start));
    }

    /// Waits for a line that is the `wanted` one.
    pub fn wait_until(&mut self, wanted: impl Fn(&str) -> bool) {
        while let Some(line) = self.next_line() {
            if wanted(line) {
                return;
            }
        }
        panic!("ended before what was waited for: {:#?}", self.end());
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -s \"$0\" \"$1\"", name]);
        kill.arg(self.child.id().to_string());
        succeed(kill);
    }

    /// Waits for the program's end.
    pub fn end(&mut self) -> Ended {
        while self.next_line().is_some() {}
        let status = self.child.wait().expect("a child can be waited for");
        let stderr = self.stderr.take().map(JoinHandle::join);
        Ended {
            status: status.code(),
            signal: status.signal(),
            lines: std::mem::take(&mut self.lines),
            stderr: stderr.and_then(Result::ok).unwrap_or_default(),
        }
    }

    /// The next line of output; None at its end.
    fn next_line(&mut self) -> Option<&str> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.stdout.recv_timeout(left) {
            Ok(line) if !left.is_zero() => {
                self.lines.push(line);
                self.lines.last().map(String::as_str)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Ok(_) | Err(RecvTimeoutError::Timeout) => {
                let last = self.lines.len().saturating_sub(20);
                panic!(
                    "does not end; its last lines: {:#?}",
                    &self.lines[last..]
                )
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Neither has anything to do when the program has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
