//! Texts that come from servers, users and the environment: URLs, redirects,
//! content types, times to wait, cookies, proxies and hosts that need none.

#![no_main]

use std::time::Duration;

use eventsource::doors::{
    cookies, goes_through_a_proxy, is_event_stream, proxy, proxy_status,
    redirected, retry_after, source_url,
};
use libfuzzer_sys::fuzz_target;

// What it is; then the text, in lines where there are several.
fuzz_target!(|input: &[u8]| {
    let [what, bytes @ ..] = input else { return };
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    match what % 8 {
        0 => check_url(bytes),
        1 => check_redirect(*what, bytes),
        2 => check_content_type(&lines),
        3 => check_retry_after(*what, &lines),
        4 => check_cookies(&lines),
        5 => check_proxy(bytes),
        6 => check_environment(&lines),
        _ => check_proxy_status(bytes),
    }
});

fn check_url(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let Some((url, loggable)) = source_url(text) else { return };
    assert_is_web(&url);
    // What is announced is a source's URL, and the same.
    assert_eq!(source_url(&url), Some((url.clone(), loggable.clone())));
    assert!(!loggable.contains(['@', '?', '#', '\n']) || path_of(&loggable));
    let (origin, _) = loggable.split_at(8);
    assert!(origin.starts_with("http"), "{loggable}");
}

/// An `@` is no secret in a path.
fn path_of(loggable: &str) -> bool {
    let (_, rest) = loggable.split_once("://").expect("a scheme");
    let (authority, path) = rest.split_once('/').expect("a path");
    !authority.contains('@') && !path.contains(['?', '#', '\n'])
}

fn assert_is_web(url: &str) {
    assert!(url.is_ascii() && !url.contains(|c: char| c.is_control()));
    assert!(url.starts_with("http://") || url.starts_with("https://"));
}

fn check_redirect(how: u8, location: &[u8]) {
    let secure = how & 16 != 0;
    let from = match secure {
        true => "https://user:secret@a.test/b/c?d#e",
        false => "http://user:secret@a.test/b/c?d#e",
    };
    let Some(to) = redirected(from, location) else { return };
    assert_is_web(&to);
    assert!(!secure || to.starts_with("https://"), "{to}");
    assert!(source_url(&to).is_some(), "{to}");
}

/// Fetch, "extract a MIME type", of lines that have neither quotes nor commas:
/// the last that is a MIME type decides.
fn check_content_type(lines: &[&[u8]]) {
    let announced = is_event_stream(lines);
    if lines.iter().any(|line| line.contains(&b'"') || line.contains(&b',')) {
        return;
    }
    let token = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| {
                c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
            })
    };
    let last = lines
        .iter()
        .filter(|line| {
            line.iter()
                .all(|byte| *byte == b'\t' || *byte >= 32 && *byte != 127)
        })
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .filter_map(|line| {
            let essence = line.split(';').next()?.trim_ascii().to_lowercase();
            let (kind, subtype) = essence.split_once('/')?;
            let is = token(kind) && token(subtype) && essence != "*/*";
            is.then_some(essence)
        })
        .next_back();
    assert_eq!(announced, last.as_deref() == Some("text/event-stream"));
}

fn check_retry_after(how: u8, lines: &[&[u8]]) {
    let date = lines.get(1).copied().unwrap_or_default();
    let limit = (how & 16 != 0).then(|| Duration::from_secs(u64::from(how)));
    let Some(wait) = retry_after(lines[0], date, limit) else { return };
    assert!(wait <= limit.unwrap_or(Duration::from_secs(3600)));
}

fn check_cookies(lines: &[&[u8]]) {
    let from = "https://www.a.test/b/c";
    for to in [from, "http://a.test/", "https://evil.example/b/c"] {
        let Some(sent) = cookies(lines, from, to) else { continue };
        assert!(to != "https://evil.example/b/c", "{sent:?}");
        assert!(!sent.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)));
        assert!(sent.len() <= 50 * 4098, "{}", sent.len());
    }
}

fn check_proxy(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let Some(shown) = proxy(text) else { return };
    assert!(
        !shown.contains(['@', '/', '\n']) || {
            let (_, rest) = shown.split_once("://").expect("a scheme");
            !rest.contains(['@', '/', '\n'])
        }
    );
    // What is shown names the same proxy.
    assert_eq!(proxy(&shown).as_ref(), Some(&shown));
}

/// The list of exceptions, the proxy, the URL.
fn check_environment(lines: &[&[u8]]) {
    let texts: Vec<_> =
        lines.iter().map(|it| String::from_utf8_lossy(it)).collect();
    let [list, proxy, url, ..] = &texts[..] else { return };
    let variables = [("all_proxy", &**proxy), ("NO_PROXY", &**list)];
    let through = goes_through_a_proxy(&variables, url);
    if list == "*" && !proxy.is_empty() && source_url(url).is_some() {
        assert_eq!(through, Some(false));
    }
    if proxy.is_empty() && source_url(url).is_some() {
        assert_eq!(through, Some(false));
    }
}

fn check_proxy_status(head: &[u8]) {
    let Some(status) = proxy_status(head) else { return };
    assert!(head.starts_with(b"HTTP/1."));
    assert!(status <= 999);
    let digits = status.to_string().into_bytes();
    assert!(head.windows(digits.len()).any(|it| it == digits));
}
