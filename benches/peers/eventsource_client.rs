//! As libeventsource.c, with eventsource-client.

use eventsource_client::{Client, ClientBuilder, SSE};
use futures::StreamExt;
use launchdarkly_sdk_transport::HyperTransport;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("a URL");
    let wanted: usize = arguments.next().unwrap().parse().expect("a number");
    let transport = HyperTransport::builder().build_http().expect("http");
    let mut stream = ClientBuilder::for_url(&url)
        .expect("a client")
        .build_with_transport(transport)
        .stream();
    let (mut events, mut bytes) = (0, 0);
    while events < wanted {
        let item = stream.next().await.expect("a stream").expect("an item");
        if let SSE::Event(event) = item {
            events += 1;
            bytes += event.data.len();
        }
    }
    println!("{events} {bytes}");
}
