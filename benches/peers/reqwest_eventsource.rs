//! As libeventsource.c, with reqwest-eventsource.

use futures::StreamExt;
use reqwest_eventsource::{Event, EventSource};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("a URL");
    let wanted: usize = arguments.next().unwrap().parse().expect("a number");
    let mut stream = EventSource::get(url);
    let (mut events, mut bytes) = (0, 0);
    while events < wanted {
        let item = stream.next().await.expect("a stream").expect("an item");
        if let Event::Message(event) = item {
            events += 1;
            bytes += event.data.len();
        }
    }
    println!("{events} {bytes}");
}
