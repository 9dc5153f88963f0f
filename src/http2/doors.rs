//! Doors into HTTP/2 that only fuzzing finds open.

use super::engine::{Engine, Event};
use super::hpack::{Decoder, Secrecy};

/// The largest head that is asked for here.
const LIMIT: usize = 64 * 1024;

/// The fields that the blocks of one connection stand for, up to the first that
/// stands for none.
pub fn hpack(blocks: &[&[u8]]) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut decoder = Decoder::new();
    let decoded = blocks.iter().map(|block| decoder.decode(block, LIMIT).ok());
    decoded.map_while(|fields| fields).collect()
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// What the bytes meant, in words; data without its cuts.
    pub events: Vec<(String, Vec<u8>)>,
    /// Why the connection has ended, if it has.
    pub broken: Option<String>,
    /// What was sent.
    pub output: Vec<u8>,
}

/// What a server's bytes mean, that come in `pieces`, to a client with three
/// streams: the first is read, the second not, and the third cancelled.
pub fn http2(pieces: &[&[u8]]) -> Told {
    let mut engine = Engine::new();
    for number in [1, 3, 5] {
        let path = (&b":path"[..], &b"/"[..], Secrecy::Open);
        let stream = engine.request([path].into_iter(), number == 1);
        assert_eq!(stream, Some(number));
    }
    engine.cancel(5);
    let mut body = &[7; 100_000][..];
    let mut told = Told { events: vec![], broken: None, output: vec![] };
    'pieces: for piece in pieces {
        let mut piece = piece.to_vec();
        let mut bytes = &mut piece[..];
        loop {
            let event = match engine.next(&mut bytes) {
                Ok(None) => break,
                Ok(Some(event)) => event,
                Err(broken) => {
                    told.broken = Some(broken.why.to_owned());
                    break 'pieces;
                }
            };
            match event {
                Event::Data { stream, bytes } => {
                    if stream == 1 {
                        engine.consumed(stream, bytes.len());
                    }
                    let name = format!("data of {stream}");
                    match told.events.last_mut() {
                        Some((last, data)) if *last == name => {
                            data.extend_from_slice(bytes);
                        }
                        _ => told.events.push((name, bytes.to_vec())),
                    }
                }
                // When it comes depends on the pieces.
                Event::Output => {}
                event => told.events.push((format!("{event:?}"), vec![])),
            }
        }
        assert!(bytes.is_empty(), "all was used");
        assert!(engine.output().len() < 256 * 1024, "what is to be sent");
    }
    // At the end, so that the pieces make no difference.
    loop {
        match engine.send(1, body) {
            0 => break,
            sent => body = &body[sent..],
        }
    }
    told.output.extend_from_slice(engine.output());
    told
}
