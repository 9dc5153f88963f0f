//! A server over HTTP/2, by prior knowledge, in a process of its own. It sends
//! what a window takes, as fast as it is read.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::{env, mem, thread};

use super::server::Server;
use super::shapes::{SHAPES, events};
use crate::http2::{
    ACK, DATA, END_HEADERS, END_STREAM, EVENT_STREAM, HEADERS, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame, request_of,
};

/// What is sent again and again.
const CYCLE: usize = 2 << 20;
/// As much is written at once.
const PIECE: usize = 64 << 10;
/// What a connection begins with, and a frame, in bytes; and the most that a
/// frame has.
const PREFACE: usize = 24;
const HEAD: usize = 9;
const MOST: usize = 16 << 10;
/// What the library lets a stream have under way. That of the connection is as
/// large as there can be.
const WINDOW: usize = 256 << 10;

/// The server of one shape. `GET /COUNT` is answered with so many cycles, an
/// event a frame; `GET /COUNT/full` in frames that are full.
pub fn start(shape: &str) -> Server {
    Server::start(&format!("http2 {shape}"))
}

/// The life of the server's process, if this is it.
pub fn serve() {
    let Ok(serve) = env::var("SERVE") else { return };
    let Some(shape) = serve.strip_prefix("http2 ") else { return };
    let found = SHAPES.iter().find(|(name, _)| *name == shape);
    let (_, block) = found.expect("the name of a shape");
    let events = events(*block, CYCLE);
    let bytes = events.concat().into_bytes();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    println!("http://{address}/ {} {}", events.len(), bytes.len());
    let events = events.into_iter().map(String::into_bytes).collect();
    let full = bytes.chunks(MOST).map(<[u8]>::to_vec).collect();
    let cycles = Arc::new([events, full]);
    for client in listener.incoming() {
        let (client, cycles) = (client.expect("a client"), cycles.clone());
        thread::spawn(move || Connection::default().live(client, &cycles));
    }
}

/// What the thread that reads and the one that writes have in common.
#[derive(Default)]
struct Connection {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    replies: Vec<u8>,
    streams: VecDeque<Stream>,
    is_over: bool,
}

/// A stream, and what is left to send of it.
struct Stream {
    number: u32,
    /// The frames of a cycle, and where each ends.
    frames: Vec<u8>,
    ends: Vec<usize>,
    /// The next one.
    next: usize,
    cycles: usize,
    window: usize,
}

/// The payloads of the frames of a cycle: an event each, and full.
type Cycles = [Vec<Vec<u8>>; 2];

impl Connection {
    fn live(&self, mut client: TcpStream, cycles: &Cycles) {
        let reader = client.try_clone().expect("a descriptor");
        self.state.lock().unwrap().replies = frame(SETTINGS, 0, 0, &[]);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Until the client leaves.
                let _ = self.read(reader, cycles);
                self.state.lock().unwrap().is_over = true;
                self.changed.notify_one();
            });
            while let Some(piece) = self.wait_for_a_piece() {
                if client.write_all(&piece).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(Shutdown::Both);
        });
    }

    fn read(&self, client: TcpStream, cycles: &Cycles) -> io::Result<()> {
        let mut client = BufReader::new(client);
        client.read_exact(&mut [0; PREFACE])?;
        loop {
            let mut head = [0; HEAD];
            client.read_exact(&mut head)?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let number = u32::from_be_bytes(stream);
            let mut payload = vec![0; length];
            client.read_exact(&mut payload)?;
            let mut state = self.state.lock().unwrap();
            state.hear(kind, flags, number, &payload, cycles);
            self.changed.notify_one();
        }
    }

    /// None once the client has left.
    fn wait_for_a_piece(&self) -> Option<Vec<u8>> {
        let mut state = self.state.lock().unwrap();
        while !state.is_over {
            if let Some(piece) = state.piece() {
                return Some(piece);
            }
            state = self.changed.wait(state).unwrap();
        }
        None
    }
}

impl State {
    fn hear(
        &mut self,
        kind: u8,
        flags: u8,
        number: u32,
        payload: &[u8],
        cycles: &Cycles,
    ) {
        match kind {
            SETTINGS if flags & ACK == 0 => {
                self.replies.extend(frame(SETTINGS, ACK, 0, &[]));
            }
            HEADERS => {
                let head = block(&EVENT_STREAM);
                let head = frame(HEADERS, END_HEADERS, number, &head);
                self.replies.extend(head);
                let target = request_of(payload).target;
                self.streams.push_back(Stream::new(number, &target, cycles));
            }
            RST_STREAM => self.streams.retain(|it| it.number != number),
            WINDOW_UPDATE => {
                let mut streams = self.streams.iter_mut();
                let credit = u32::from_be_bytes(payload.try_into().unwrap());
                if let Some(stream) = streams.find(|it| it.number == number) {
                    stream.window += credit as usize;
                }
            }
            _ => {}
        }
    }

    /// What is to be written next; the streams take turns.
    fn piece(&mut self) -> Option<Vec<u8>> {
        if !self.replies.is_empty() {
            return Some(mem::take(&mut self.replies));
        }
        for _ in 0..self.streams.len() {
            let mut stream = self.streams.pop_front()?;
            let piece = stream.piece();
            if stream.cycles > 0 {
                self.streams.push_back(stream);
            }
            if piece.is_some() {
                return piece;
            }
        }
        None
    }
}

impl Stream {
    fn new(number: u32, target: &str, [events, full]: &Cycles) -> Stream {
        let count = target.trim_start_matches('/');
        let (count, payloads) = match count.strip_suffix("/full") {
            Some(count) => (count, full),
            None => (count, events),
        };
        let (mut frames, mut ends) = (Vec::new(), Vec::new());
        for payload in payloads {
            frames.extend(frame(DATA, 0, number, payload));
            ends.push(frames.len());
        }
        let cycles = count.parse().expect("a count");
        Stream { number, frames, ends, next: 0, cycles, window: WINDOW }
    }

    /// As many frames as the window takes.
    fn piece(&mut self) -> Option<Vec<u8>> {
        let first = self.next;
        let start = first.checked_sub(1).map_or(0, |last| self.ends[last]);
        let mut end = start;
        while let Some(after) = self.ends.get(self.next)
            && after - start <= PIECE
            && after - end <= self.window
        {
            self.window -= after - end - HEAD;
            self.next += 1;
            end = *after;
        }
        let mut piece = self.frames[start..end].to_vec();
        if self.next == self.ends.len() {
            self.next = 0;
            self.cycles -= 1;
            if self.cycles == 0 {
                piece.extend(frame(DATA, END_STREAM, self.number, &[]));
            }
        }
        (!piece.is_empty()).then_some(piece)
    }
}
