//! From the call of `eventsource_close` to the callback `on_close`, in every
//! phase of a connection: `cargo bench --bench close`.

use std::time::{Duration, Instant};

use support::phases::{Phase, stage};

const RUNS: usize = 50;

fn main() {
    println!("from close to on_close, {RUNS} runs each, µs");
    println!("{:<16} {:>8} {:>8} {:>8}", "phase", "p50", "p90", "max");
    for phase in Phase::ALL {
        let mut times: Vec<Duration> =
            (0..RUNS).map(|_| close(phase)).collect();
        times.sort_unstable();
        let micros = |index: usize| times[index].as_secs_f64() * 1e6;
        println!(
            "{:<16} {:>8.0} {:>8.0} {:>8.0}",
            format!("{phase:?}"),
            micros(RUNS / 2),
            micros(RUNS * 9 / 10),
            micros(RUNS - 1),
        );
    }
}

fn close(phase: Phase) -> Duration {
    let staged = stage(phase);
    let start = Instant::now();
    staged.source.close();
    staged.source.skip_to_close();
    let end = staged.source.last_call().expect("on_close has come");
    staged.sees_the_client_close();
    end - start
}
