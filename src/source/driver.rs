//! The thread of one source: the only place that waits in its life.

use std::time::Instant;

use crate::error::Error;
use crate::http::buffer::Buffer;
use crate::http::connection::Network;
use crate::source::handler::Handler;
use crate::source::life::{LITTLE, Next, Source};
use crate::source::queue::Writer;
use crate::state::State;
use crate::sys;
use crate::wait::{Unready, Until};

/// Lives the life of a source to its end; returns the reason.
pub(crate) fn drive<H: Handler>(
    source: &mut Source<H>,
    state: &State,
) -> Error {
    let mut next = step(source, Source::begin);
    loop {
        next = match next {
            Next::Attempt => step(source, Source::attempt),
            Next::Open(opening) => {
                let opened = step(source, |it| it.opened(opening.run()));
                // Connecting has used some 60 KiB of it.
                sys::release_dead_stack();
                opened.unwrap_or_else(|| step(source, read))
            }
            Next::NotMade(failure) => step(source, |it| it.not_made(*failure)),
            Next::Read(_) if source.waits_by_reading() => step(source, |it| {
                it.wait_and_read().unwrap_or_else(|| read(it))
            }),
            Next::Read(deadline) => {
                let waited = wait(source, state, deadline);
                step(source, |source| match waited {
                    Ok(()) => read(source),
                    Err(Unready::Interrupted) => source.begin(),
                    Err(Unready::Deadline) => source.silent(),
                    Err(Unready::System(cause)) => source.broken(&cause),
                })
            }
            Next::Wait(deadline) => {
                let until = Until::new(state, deadline);
                // What callbacks have used is dead for all of the wait.
                if !until.has_passed() {
                    sys::release_dead_stack();
                }
                let waited = until.sleep();
                step(source, |source| match waited {
                    // An attempt begins, or the source finds that it was
                    // closed.
                    Unready::Interrupted => source.begin(),
                    Unready::Deadline | Unready::System(_) => source.due(),
                })
            }
            Next::Tell => {
                state.wait_until(|| source.has_told());
                step(source, Source::begin)
            }
            Next::Room => {
                state.wait_until(|| source.has_room());
                step(source, |it| it.resumed().unwrap_or_else(|| read(it)))
            }
            Next::Over(reason) => return reason,
        };
    }
}

/// Takes a step of the life, by a call of its own: what a step takes does not
/// stay on the stack for as long as the source waits.
#[inline(never)]
fn step<H: Handler, N>(
    source: &mut Source<H>,
    step: impl FnOnce(&mut Source<H>) -> N,
) -> N {
    step(source)
}

/// Waits until the open connection can be read.
fn wait<H: Handler>(
    source: &Source<H>,
    state: &State,
    deadline: Option<Instant>,
) -> Result<(), Unready> {
    Until::new(state, deadline).wait(source.entry())
}

/// Reads all there is.
fn read<H: Handler>(source: &mut Source<H>) -> Next {
    let Some(mut buffer) = Buffer::try_take() else {
        return read_by_little(source);
    };
    let next = read_into(source, buffer.bytes());
    buffer.give_back();
    next
}

/// The same, where there is no memory for a buffer.
#[cold]
#[inline(never)]
fn read_by_little<H: Handler>(source: &mut Source<H>) -> Next {
    read_into(source, &mut [0; LITTLE])
}

fn read_into<H: Handler>(source: &mut Source<H>, buffer: &mut [u8]) -> Next {
    loop {
        if let Some(next) = source.readable(Network::now(buffer)) {
            break next;
        }
    }
}

/// Waits until the queue has room again; a close or a reconnect ends the wait.
#[cold]
pub(crate) fn wait_for_room(state: &State, queue: &mut Writer) {
    state.wait_until(|| queue.has_room());
    queue.resume();
}
