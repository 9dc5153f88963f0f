//! Host names to addresses, by the system's own look-up, which cannot be
//! cancelled: it runs on a thread of its own and may be left behind there.
//!
//! Whoever wants a name that is being looked up already waits for the same
//! answer. Nothing is remembered beyond that: whoever comes after the answer
//! has a look-up of its own. There are few threads; more look-ups wait until
//! one is free.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::OnceLock;

use url::Host;

use crate::error::Error;
use crate::failure::{Failure, NoConnection, in_words};
use crate::panic::catch;
use crate::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::sync::{Arc, Mutex, lock};
use crate::sys::{self, Wake};
use crate::wait::{Unready, Until};

/// A look-up left behind lasts until the system gives up, some ten seconds:
/// so many of them do not delay those of other names.
const MAX_THREADS: usize = 32;

/// A look-up that everybody has left does not answer; one who comes later has a
/// new one beside it, and no third.
const MAX_OF_ONE_NAME: usize = 2;

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// The look-ups of this process that are under way.
struct Table {
    process_id: u32,
    threads: usize,
    /// Of each name, the newest is the last.
    by_name: HashMap<String, Vec<Arc<LookUp>>>,
    /// Those that wait for a thread.
    queue: VecDeque<Arc<LookUp>>,
}

/// One question to the system.
struct LookUp {
    name: String,
    /// Whoever waits for the answer; changed with the table's lock held.
    waiters: Mutex<Vec<Waiter>>,
    answer: OnceLock<Answer>,
}

/// Who waits for an answer.
struct Waiter {
    wake: Arc<Wake>,
    /// Set when it waits no more, though it has yet to leave.
    gives_up: Option<Arc<AtomicBool>>,
}

/// Addresses without a port; or the failure and its cause.
type Answer = Result<Vec<SocketAddr>, (Error, String)>;

/// The addresses of a host, in the order in which to try them.
pub(crate) fn resolve(
    host: Host<&str>,
    port: u16,
    until: Until<'_>,
) -> Result<Vec<SocketAddr>, NoConnection> {
    match host {
        Host::Ipv4(address) => Ok(vec![(address, port).into()]),
        Host::Ipv6(address) => Ok(vec![(address, port).into()]),
        Host::Domain(name) => look_up(name, port, until),
    }
}

fn look_up(
    name: &str,
    port: u16,
    until: Until<'_>,
) -> Result<Vec<SocketAddr>, NoConnection> {
    let failure = |error, cause: &str| {
        Failure::new(error, format!("look-up of {name}: {cause}"))
    };
    let system = |cause: io::Error| {
        failure(Error::System, &in_words(&cause)).caused_by(&cause)
    };
    let place = Place::take(name, until).map_err(system)?;
    match until.wait_until(|| place.look_up.answer.get().is_some()) {
        Ok(()) => {}
        Err(Unready::Interrupted) => return Err(NoConnection::Interrupted),
        Err(Unready::Deadline) => {
            return Err(failure(Error::Timeout, "timed out").into());
        }
        Err(Unready::System(cause)) => {
            return Err(system(cause).into());
        }
    }
    match place.look_up.answer.get().expect("waited for") {
        Ok(found) if found.is_empty() => {
            Err(failure(Error::Resolve, "no address").into())
        }
        Ok(found) => {
            let mut addresses = interleave_families(found.clone());
            addresses.iter_mut().for_each(|it| it.set_port(port));
            Ok(addresses)
        }
        Err((error, cause)) => Err(failure(*error, cause).into()),
    }
}

/// A place among those who wait for one answer.
struct Place {
    look_up: Arc<LookUp>,
    wake: Arc<Wake>,
}

impl Place {
    /// Joins a look-up of `name`, or begins one.
    fn take(name: &str, until: Until<'_>) -> io::Result<Place> {
        let mut table = lock(&TABLE);
        // The table stays locked until this waiter is on the list: an answer
        // that comes in between would wake everybody else.
        let look_up = Table::of_this_process(&mut table).look_up(name)?;
        let wake = until.wake().clone();
        let waiter = Waiter { wake: wake.clone(), gives_up: until.flag() };
        lock(&look_up.waiters).push(waiter);
        Ok(Place { look_up, wake })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = lock(&TABLE);
        // The same wake descriptor is waited for by the source's next look-up:
        // the answer of this one must not wake that.
        let mut waiters = lock(&self.look_up.waiters);
        waiters.retain(|it| !Arc::ptr_eq(&it.wake, &self.wake));
        if waiters.is_empty() {
            drop(waiters);
            Table::of_this_process(&mut table).left(&self.look_up);
        }
    }
}

impl Table {
    /// After fork(), a child has none of its parent's threads.
    fn of_this_process(table: &mut Option<Table>) -> &mut Table {
        let process_id = sys::process_id();
        if table.as_ref().is_none_or(|it| it.process_id != process_id) {
            *table = Some(Table {
                process_id,
                threads: 0,
                by_name: HashMap::new(),
                queue: VecDeque::new(),
            });
        }
        table.as_mut().expect("made above")
    }

    /// The look-up of `name` to wait for.
    fn look_up(&mut self, name: &str) -> io::Result<Arc<LookUp>> {
        let known = self.by_name.get(name).map(Vec::as_slice);
        if let Some([.., newest]) = known
            && (newest.is_awaited()
                || known.is_some_and(|all| all.len() >= MAX_OF_ONE_NAME))
        {
            return Ok(newest.clone());
        }
        let look_up = Arc::new(LookUp {
            name: name.to_owned(),
            waiters: Mutex::default(),
            answer: OnceLock::new(),
        });
        if self.threads < MAX_THREADS {
            let first = look_up.clone();
            let work = move || work(first);
            let stack = sys::stack_as_here();
            drop(sys::spawn("eventsource-dns", stack, work)?);
            self.threads += 1;
        } else {
            self.queue.push_back(look_up.clone());
        }
        let all = self.by_name.entry(name.to_owned()).or_default();
        all.push(look_up.clone());
        Ok(look_up)
    }

    /// Nobody waits for it any more: it is not begun, if it has not been.
    fn left(&mut self, look_up: &Arc<LookUp>) {
        let queued = self.queue.iter().position(|it| Arc::ptr_eq(it, look_up));
        if let Some(place) = queued {
            self.queue.remove(place);
            self.forget(look_up);
        }
    }

    /// It is under way no more.
    fn forget(&mut self, look_up: &Arc<LookUp>) {
        if let Some(all) = self.by_name.get_mut(&look_up.name) {
            all.retain(|it| !Arc::ptr_eq(it, look_up));
            if all.is_empty() {
                self.by_name.remove(&look_up.name);
            }
        }
    }
}

impl LookUp {
    fn is_awaited(&self) -> bool {
        let gives_up = |it: &Waiter| {
            it.gives_up.as_ref().is_some_and(|it| it.load(SeqCst))
        };
        lock(&self.waiters).iter().any(|it| !gives_up(it))
    }

    fn ask(&self) -> Answer {
        // A panic here would leave the waiters without an answer.
        let found = catch(|| (self.name.as_str(), 0).to_socket_addrs());
        match found {
            Some(Ok(found)) => Ok(found.collect()),
            Some(Err(cause)) => Err((Error::Resolve, reason(&cause))),
            None => Err((Error::Internal, "defect of the library".into())),
        }
    }
}

/// The life of a thread: one look-up, and those that have had to wait.
fn work(mut look_up: Arc<LookUp>) {
    loop {
        // No lock is held while the system is asked, which takes seconds at
        // worst.
        let answer = look_up.ask();
        let mut table = lock(&TABLE);
        let table = Table::of_this_process(&mut table);
        table.forget(&look_up);
        // Nobody waits for what was left behind.
        // With the table locked: who finds this look-up there either is on the
        // list below or sees the answer.
        let _ = look_up.answer.set(answer);
        for waiter in &*lock(&look_up.waiters) {
            waiter.wake.set();
        }
        look_up = match table.queue.pop_front() {
            Some(next) => next,
            None => {
                table.threads -= 1;
                return;
            }
        };
    }
}

/// std puts a sentence of its own before the system's.
fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.rsplit_once(": ") {
        Some((_, reason)) => in_words(&io::Error::other(reason)),
        None => in_words(cause),
    }
}

/// The families take turns, beginning with the one that the system prefers
/// (RFC 8305, 4), so that a family without a route costs one attempt.
fn interleave_families(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else {
        return addresses;
    };
    let (mut one, mut other): (Vec<_>, Vec<_>) =
        addresses.iter().partition(|address| address.is_ipv4() == first);
    one.reverse();
    other.reverse();
    let mut turns = Vec::with_capacity(addresses.len());
    while let Some(address) = one.pop() {
        turns.push(address);
        turns.extend(other.pop());
    }
    other.reverse();
    turns.extend(other);
    turns
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn the_families_take_turns() {
        let list = |text: &str| -> Vec<SocketAddr> {
            text.split(' ')
                .map(|ip| SocketAddr::from((ip.parse::<IpAddr>().unwrap(), 1)))
                .collect()
        };
        assert_eq!(
            interleave_families(list("::1 ::2 ::3 1.1.1.1")),
            list("::1 1.1.1.1 ::2 ::3")
        );
        assert_eq!(
            interleave_families(list("1.1.1.1 ::1 ::2 ::3")),
            list("1.1.1.1 ::1 ::2 ::3")
        );
        assert_eq!(interleave_families(vec![]), vec![]);
    }
}
