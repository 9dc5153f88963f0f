//! The threads that make attempts for a loop: few while servers answer, and
//! more while some are stuck.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::failure::{Failure, NoConnection, in_words};
use crate::panic::catch;
use crate::sync::lock;
use crate::sys;
use crate::wait::Recall;

/// Something to do, told whether there was a thread for it. It does not panic.
pub(crate) type Job = Box<dyn FnOnce(io::Result<()>) + Send>;

/// The threads of one loop. They end by themselves when this is dropped, those
/// that are at work when the work is done; [`Workers::end`] waits for those that
/// have none.
pub(crate) struct Workers(Arc<Pool>);

struct Pool {
    jobs: Mutex<Jobs>,
    /// There is a job, or there will be none any more.
    changed: Condvar,
    /// How many jobs wait, for those who look at nothing else.
    waiting: AtomicUsize,
}

struct Jobs {
    queue: VecDeque<Job>,
    workers: usize,
    /// Workers that wait for a job.
    idle: usize,
    /// The threads of those that are not at work, or have yet to begin.
    resting: Vec<JoinHandle<()>>,
    /// When the last job was taken, or the first one came.
    taken: Instant,
    closed: bool,
}

/// Does the work of an attempt's job, which `recall` ends. It has a descriptor
/// only while it is under way.
pub(crate) fn run<T>(
    thread: io::Result<()>,
    recall: &Recall,
    work: impl FnOnce() -> Result<T, NoConnection>,
) -> Result<T, NoConnection> {
    match thread.and_then(|()| recall.arm()) {
        Ok(()) => catch(work).unwrap_or_else(|| {
            let message = "defect of the library";
            Err(Failure::new(Error::Internal, message).into())
        }),
        Err(cause) => {
            let why = in_words(&cause);
            let message = format!("no thread or descriptor: {why}");
            Err(Failure::new(Error::System, message).into())
        }
    }
}

impl Workers {
    /// So many are enough while servers answer: opening is work, not waiting.
    const FEW: usize = 4;
    /// So many jobs may wait. What more would take is memory, in pieces that
    /// lie between those that sources keep.
    const ROOM: usize = 128;
    /// Not more than sources that have a thread each would need.
    const MOST: usize = 1024;
    /// When none has taken a job for so long they are stuck, and as many again
    /// are added.
    const PATIENCE: Duration = Duration::from_millis(20);
    /// A worker without work for so long ends.
    const LEISURE: Duration = Duration::from_secs(1);

    pub(crate) fn new() -> Workers {
        let jobs = Jobs {
            queue: VecDeque::new(),
            workers: 0,
            idle: 0,
            resting: Vec::new(),
            taken: Instant::now(),
            closed: false,
        };
        Workers(Arc::new(Pool {
            jobs: Mutex::new(jobs),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Has the job done.
    pub(crate) fn submit(&self, job: Job) {
        let mut jobs = lock(&self.0.jobs);
        if jobs.queue.is_empty() {
            jobs.taken = Instant::now();
        }
        jobs.queue.push_back(job);
        self.0.waiting.store(jobs.queue.len(), SeqCst);
        if jobs.idle >= jobs.queue.len() {
            drop(jobs);
            self.0.changed.notify_one();
        } else if jobs.workers < Workers::FEW {
            drop(jobs);
            self.add_one();
        }
    }

    /// Whether there is room for a job. While there is none, [`Workers::grow`]
    /// says when to ask again.
    pub(crate) fn have_room(&self) -> bool {
        self.0.waiting.load(SeqCst) < Workers::ROOM
    }

    /// More workers, if all are stuck; when to ask again, if jobs wait.
    pub(crate) fn grow(&self) -> Option<Instant> {
        if self.0.waiting.load(SeqCst) == 0 {
            return None;
        }
        let mut jobs = lock(&self.0.jobs);
        let now = Instant::now();
        let due = jobs.taken + Workers::PATIENCE;
        let waiting = jobs.queue.len();
        if waiting == 0 || now < due {
            return (waiting > 0).then_some(due);
        }
        let more = jobs.workers.max(1).min(waiting);
        let more = more.min(Workers::MOST.saturating_sub(jobs.workers));
        jobs.taken = now;
        drop(jobs);
        for _ in 0..more {
            self.add_one();
        }
        Some(now + Workers::PATIENCE)
    }

    /// Starts a worker. Where there is no thread for it, and no other worker,
    /// nobody would do the jobs.
    fn add_one(&self) {
        let pool = self.0.clone();
        let work = move || pool.work();
        let stack = sys::default_stack();
        // With the lock held, so that a worker that works has its thread.
        let mut jobs = lock(&self.0.jobs);
        let cause = match sys::spawn("eventsource-job", stack, work) {
            Ok(thread) => {
                jobs.workers += 1;
                jobs.resting.push(thread);
                return;
            }
            Err(cause) => cause,
        };
        if jobs.workers > 0 {
            return;
        }
        let left = std::mem::take(&mut jobs.queue);
        self.0.waiting.store(0, SeqCst);
        drop(jobs);
        for job in left {
            job(Err(io::Error::new(cause.kind(), cause.to_string())));
        }
    }

    /// Nobody wants a job done any more. Waits until the threads have ended
    /// that are not at work.
    pub(crate) fn end(&self) {
        let mut jobs = lock(&self.0.jobs);
        jobs.closed = true;
        let unwanted = std::mem::take(&mut jobs.queue);
        let resting = std::mem::take(&mut jobs.resting);
        drop(jobs);
        self.0.changed.notify_all();
        drop(unwanted);
        for thread in resting {
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        lock(&self.0.jobs).closed = true;
        self.0.changed.notify_all();
    }
}

impl Pool {
    /// The life of a worker.
    fn work(&self) {
        let mut jobs = lock(&self.jobs);
        loop {
            if let Some(job) = jobs.queue.pop_front() {
                jobs.taken = Instant::now();
                self.waiting.store(jobs.queue.len(), SeqCst);
                let thread = jobs.rise();
                drop(jobs);
                job(Ok(()));
                jobs = lock(&self.jobs);
                jobs.resting.extend(thread);
                continue;
            }
            if jobs.closed {
                break;
            }
            jobs.idle += 1;
            let waited = self.changed.wait_timeout(jobs, Workers::LEISURE);
            let (after, time) = waited.unwrap_or_else(PoisonError::into_inner);
            jobs = after;
            jobs.idle -= 1;
            if time.timed_out() && jobs.queue.is_empty() {
                break;
            }
        }
        jobs.rise();
        jobs.workers -= 1;
    }
}

impl Jobs {
    /// This thread rests no longer.
    fn rise(&mut self) -> Option<JoinHandle<()>> {
        let own = thread::current().id();
        let rests = |it: &JoinHandle<()>| it.thread().id() == own;
        let index = self.resting.iter().position(rests)?;
        Some(self.resting.swap_remove(index))
    }
}
