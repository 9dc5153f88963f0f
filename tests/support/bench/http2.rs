//! A server over HTTP/2 for one client that makes one request, whatever it is,
//! and keeps the rules.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::TcpStream;

use crate::http2::{
    ACK, DATA, END_HEADERS, EVENT_STREAM, HEADERS, PING, SETTINGS,
    WINDOW_UPDATE, block, frame,
};

const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const FRAME_HEAD: usize = 9;
/// What a frame may have without the client's word.
const MOST: usize = 16 << 10;

const INITIAL_WINDOW_SIZE: u32 = 4;

struct Connection {
    input: BufReader<TcpStream>,
    output: BufWriter<TcpStream>,
    /// What the client still takes on the connection and on each stream.
    connection: i64,
    streams: i64,
    /// The stream of the request.
    stream: Option<u32>,
}

/// Sends a DATA frame for each event, again and again, until the client leaves.
pub(super) fn flood(
    client: TcpStream,
    events: &[String],
) -> std::io::Result<()> {
    let mut connection = Connection {
        input: BufReader::new(client.try_clone()?),
        output: BufWriter::with_capacity(64 << 10, client),
        connection: 65_535,
        streams: 65_535,
        stream: None,
    };
    connection.input.read_exact(&mut [0; PREFACE])?;
    connection.send(SETTINGS, 0, 0, &[])?;
    let stream = loop {
        match connection.stream {
            Some(stream) => break stream,
            None => connection.hear()?,
        }
    };
    connection.send(HEADERS, END_HEADERS, stream, &block(&EVENT_STREAM))?;
    let events = events.iter().flat_map(|it| it.as_bytes().chunks(MOST));
    for part in events.cycle() {
        let size = part.len() as i64;
        while connection.connection.min(connection.streams) < size {
            connection.output.flush()?;
            connection.hear()?;
        }
        connection.connection -= size;
        connection.streams -= size;
        connection.send(DATA, 0, stream, part)?;
    }
    Ok(())
}

impl Connection {
    fn send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        self.output.write_all(&frame(kind, flags, stream, payload))
    }

    /// Reads a frame, and does what it says.
    fn hear(&mut self) -> std::io::Result<()> {
        if self.input.fill_buf()?.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.output.flush()?;
        let mut head = [0; FRAME_HEAD];
        self.input.read_exact(&mut head)?;
        let number = |bytes: &[u8]| {
            bytes.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte))
        };
        let (kind, flags) = (head[3], head[4]);
        let stream = number(&head[5..]);
        let mut payload = vec![0; number(&head[..3]) as usize];
        self.input.read_exact(&mut payload)?;
        match (kind, flags) {
            (HEADERS, _) => self.stream = Some(stream),
            (WINDOW_UPDATE, _) => {
                let window = match stream {
                    0 => &mut self.connection,
                    _ => &mut self.streams,
                };
                *window += i64::from(number(&payload));
            }
            (SETTINGS, 0) => {
                for setting in payload.chunks_exact(6) {
                    let size = number(&setting[2..]);
                    if number(&setting[..2]) == INITIAL_WINDOW_SIZE {
                        self.streams += i64::from(size) - 65_535;
                    }
                }
                self.send(SETTINGS, ACK, 0, &[])?;
            }
            (PING, 0) => self.send(PING, ACK, 0, &payload)?,
            _ => {}
        }
        self.output.flush()
    }
}
