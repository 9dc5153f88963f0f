//! What files hold, read again when they have changed.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sync::lock;

/// A content that is doubted is read again when it is at least so old, also if
/// its files look as they did.
const DOUBT: Duration = Duration::from_secs(1);

/// What files can hold.
pub(super) trait Content {
    /// Whether another reading has brought nothing new.
    fn is_same(&self, other: &Self) -> bool;

    /// Whether something since the last call has raised the doubt that it is
    /// out of date.
    fn take_doubt(&self) -> bool {
        false
    }
}

/// Reads all of some files, and says what a person may want to know of it.
type Read<T> = fn(&[PathBuf]) -> Result<(T, Option<String>), Error>;

/// Files, and what they hold. Those who use it share it.
pub(super) struct Watched<T> {
    paths: Vec<PathBuf>,
    read: Read<T>,
    reading: Mutex<Reading<T>>,
}

/// What was read last.
struct Reading<T> {
    value: Option<Arc<T>>,
    /// Why the files hold nothing of use, if so. The value is an older one.
    problem: Option<Error>,
    /// What the files looked like, and when.
    stamps: Vec<Option<Stamp>>,
    at: Option<Instant>,
}

impl<T: Content> Watched<T> {
    /// Reads nothing yet. Later on the process may have another directory:
    /// the paths are made absolute.
    pub(super) fn new<'a>(
        paths: impl IntoIterator<Item = &'a Path>,
        read: Read<T>,
    ) -> Watched<T> {
        let paths = paths.into_iter().map(absolute).collect();
        let reading =
            Reading { value: None, problem: None, stamps: vec![], at: None };
        Watched { paths, read, reading: Mutex::new(reading) }
    }

    /// Whether the other one has the same files.
    #[cfg(feature = "http2")]
    pub(super) fn has_paths_of(&self, other: &Watched<T>) -> bool {
        self.paths == other.paths
    }

    /// What the files hold now, or the last that was of use.
    pub(super) fn current(&self) -> Result<Arc<T>, Error> {
        match self.look() {
            (Some(value), _) => Ok(value),
            (None, problem) => Err(problem.unwrap_or(Error::File)),
        }
    }

    /// What the files hold now.
    pub(super) fn checked(&self) -> Result<Arc<T>, Error> {
        match self.look() {
            (Some(value), None) => Ok(value),
            (_, problem) => Err(problem.unwrap_or(Error::File)),
        }
    }

    /// Reads the files, if they have changed.
    fn look(&self) -> (Option<Arc<T>>, Option<Error>) {
        let mut lines = Vec::new();
        let found = {
            // Held while the files are read: of many sources that connect at
            // once, one reads, and the others have what it has read.
            let mut reading = lock(&self.reading);
            reading.update(&self.paths, self.read, &mut lines);
            (reading.value.clone(), reading.problem)
        };
        // The lock is free again: the program's log callback may come back
        // here.
        for line in lines {
            log::warn!("{}: {line}", self.names());
        }
        found
    }

    fn names(&self) -> String {
        let names = self.paths.iter().map(|path| path.display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }
}

impl<T: Content> Reading<T> {
    fn update(
        &mut self,
        paths: &[PathBuf],
        read: Read<T>,
        lines: &mut Vec<String>,
    ) {
        let stamps: Vec<_> = paths.iter().map(|path| Stamp::of(path)).collect();
        let doubted = self.at.is_some_and(|at| at.elapsed() >= DOUBT)
            && self.value.as_ref().is_some_and(|it| it.take_doubt());
        let changed = self.value.is_none() || stamps != self.stamps;
        if !changed && !doubted {
            return;
        }
        self.at = Some(Instant::now());
        self.stamps = stamps;
        match read(paths) {
            Ok((value, line)) => {
                self.problem = None;
                // What was made of the old value stays of use.
                if !self.value.as_ref().is_some_and(|it| it.is_same(&value)) {
                    lines.extend(line);
                    self.value = Some(Arc::new(value));
                }
            }
            Err(problem) => {
                self.problem = Some(problem);
                if self.value.is_some() {
                    let why = problem.text().to_string_lossy();
                    lines.push(format!("{why}; what it held before is used"));
                }
            }
        }
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.paths).finish()
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// By what a change of a file, or of a directory, is noticed.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    /// Device and inode: most programs replace a file by renaming another.
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// The time of modification alone can be set back, as `cp -p` and rsync do;
    /// this one cannot.
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata: Metadata = path.metadata().ok()?;
        Some(Stamp {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
