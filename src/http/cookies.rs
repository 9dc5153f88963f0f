//! The cookies of one source, in memory (RFC 6265). Without the feature
//! `cookies` there are none.

#[cfg(feature = "cookies")]
use cookie_store::{Cookie, CookieDomain, CookieStore};
use http::header::{HeaderMap, HeaderValue};

use crate::url::HttpUrl;

/// What servers have asked a source to send back.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    /// Made for the first of them: most sources have none.
    #[cfg(feature = "cookies")]
    store: Option<Box<CookieStore>>,
}

#[cfg(feature = "cookies")]
impl Cookies {
    /// What RFC 6265, 6.1 asks a client to hold; a server that sets more, in
    /// weeks of reconnections, does not fill the memory.
    const MAX_COUNT: usize = 50;
    const MAX_SIZE: usize = 4096;
    /// Servers refuse heads that are much larger, and would do so each time.
    const MAX_SENT: usize = 16 * 1024;

    /// Keeps the cookies that a response from `url` sets.
    pub(crate) fn keep(&mut self, headers: &HeaderMap, url: &HttpUrl) {
        for value in headers.get_all(http::header::SET_COOKIE) {
            let Ok(value) = str::from_utf8(value.as_bytes()) else { continue };
            if value.len() > Self::MAX_SIZE {
                continue;
            }
            let Some(cookie) = allowed(value, url) else { continue };
            let store = self.store.get_or_insert_default();
            if has_room_for(store, &cookie) {
                // One that takes another away is not kept itself.
                let _ = store.insert(cookie, url.as_url());
            }
        }
    }

    /// The `Cookie` header of a request for `url`.
    pub(crate) fn header(&self, url: &HttpUrl) -> Option<HeaderValue> {
        let mut cookies = self.store.as_ref()?.matches(url.as_url());
        // RFC 6265, 5.4: longer paths first.
        cookies.sort_by_key(|cookie| {
            (std::cmp::Reverse(cookie.path.len()), cookie.name().to_owned())
        });
        let mut sent = String::new();
        for cookie in cookies {
            let start = if sent.is_empty() { "" } else { "; " };
            let pair = format!("{start}{}={}", cookie.name(), cookie.value());
            // A shorter one may still fit.
            if sent.len() + pair.len() <= Self::MAX_SENT {
                sent += &pair;
            }
        }
        if sent.is_empty() {
            return None;
        }
        let mut value = HeaderValue::from_bytes(sent.as_bytes()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Whether a cookie takes the place of one that is kept, or a free one.
#[cfg(feature = "cookies")]
fn has_room_for(store: &mut CookieStore, cookie: &Cookie<'_>) -> bool {
    if store.iter_any().count() >= Cookies::MAX_COUNT {
        forget_expired(store);
    }
    let domain = cookie.domain.as_cow().unwrap_or_default();
    store.contains_any(&domain, &cookie.path, cookie.name())
        || store.iter_any().count() < Cookies::MAX_COUNT
}

#[cfg(feature = "cookies")]
fn forget_expired(store: &mut CookieStore) {
    let unexpired: Vec<_> = store.iter_unexpired().cloned().collect();
    let unexpired = unexpired.into_iter().map(Ok::<_, ()>);
    if let Ok(left) = CookieStore::from_cookies(unexpired, true) {
        *store = left;
    }
}

/// The cookie that a response from `url` sets with this header, unless it is
/// none, or not for the server to set.
#[cfg(feature = "cookies")]
fn allowed(value: &str, url: &HttpUrl) -> Option<Cookie<'static>> {
    let cookie = Cookie::parse(value, url.as_url()).ok()?;
    let mut cookie = cookie.into_owned();
    let is_secure = cookie.secure() == Some(true);
    // RFC 6265bis, 5.7: who listens in sets nothing that looks safe.
    if is_secure && !url.is_secure() && !url.is_loopback() {
        return None;
    }
    let is_hosts_own = cookie.path() == Some("/") && cookie.domain().is_none();
    // RFC 6265bis, 4.1.3: what the name says has to be so.
    let is_honest = match cookie.name() {
        name if has_prefix(name, "__Secure-") => is_secure,
        name if has_prefix(name, "__Host-") => is_secure && is_hosts_own,
        _ => true,
    };
    if !is_honest {
        return None;
    }
    // A domain of one label belongs to all below it. RFC 6265bis, 5.7: it is
    // no reason to refuse the cookie if it is the host itself.
    if let CookieDomain::Suffix(domain) = &cookie.domain
        && !domain.trim_end_matches('.').contains('.')
    {
        if !cookie.domain.host_is_identical(url.as_url()) {
            return None;
        }
        cookie.domain = CookieDomain::host_only(url.as_url()).ok()?;
    }
    Some(cookie)
}

#[cfg(feature = "cookies")]
fn has_prefix(name: &str, prefix: &str) -> bool {
    let start = name.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(not(feature = "cookies"))]
impl Cookies {
    pub(crate) fn keep(&mut self, _: &HeaderMap, _: &HttpUrl) {}

    pub(crate) fn header(&self, _: &HttpUrl) -> Option<HeaderValue> {
        None
    }
}

#[cfg(all(test, feature = "cookies"))]
mod tests {
    use http::header::SET_COOKIE;

    use super::*;

    fn keep(cookies: &mut Cookies, url: &str, set: &str) {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, set.parse().unwrap());
        cookies.keep(&headers, &HttpUrl::parse(url).unwrap());
    }

    fn sent(cookies: &Cookies, url: &str) -> String {
        let value = cookies.header(&HttpUrl::parse(url).unwrap());
        value.map_or(String::new(), |it| it.to_str().unwrap().to_owned())
    }

    #[test]
    fn host_path_and_scheme_decide() {
        let mut cookies = Cookies::default();
        let url = "https://a.example/x/y";
        keep(&mut cookies, url, "root=1; Path=/");
        keep(&mut cookies, url, "deep=2; Path=/x; HttpOnly");
        keep(&mut cookies, url, "safe=3; Path=/; Secure");
        keep(&mut cookies, url, "other=4; Domain=b.example");
        keep(&mut cookies, url, "gone=5; Path=/; Max-Age=0");
        assert_eq!(sent(&cookies, url), "deep=2; root=1; safe=3");
        assert_eq!(sent(&cookies, "http://a.example/"), "root=1");
        assert_eq!(sent(&cookies, "https://b.example/"), "");
        keep(&mut cookies, url, "root=; Path=/; Max-Age=0");
        assert_eq!(sent(&cookies, "http://a.example/"), "");
    }

    #[test]
    fn a_top_level_domain_is_nobodys() {
        for (host, domain, other, sent_to) in [
            ("a.test", "test", "b.test", ""),
            ("a.test", ".test", "a.test", ""),
            ("a.test.", "test.", "b.test.", ""),
            ("a.test", "TEST", "b.test", ""),
            ("test", "test", "test", "c=1"),
            ("test", "test", "a.test", ""),
            ("localhost", "localhost", "localhost", "c=1"),
            ("a.b.test", "b.test", "c.b.test", "c=1"),
            ("127.0.0.1", "1", "127.0.0.1", ""),
            ("127.0.0.1", "0.0.1", "127.0.0.1", ""),
        ] {
            let mut cookies = Cookies::default();
            let set = format!("c=1; Domain={domain}");
            keep(&mut cookies, &format!("http://{host}/"), &set);
            let sent = sent(&cookies, &format!("http://{other}/"));
            assert_eq!(sent, sent_to, "{host} {domain} {other}");
        }
    }

    #[test]
    fn a_prefix_promises_what_it_says() {
        let (https, http) = ("https://a.test/", "http://a.test/");
        for (url, set, is_kept) in [
            (https, "__Secure-c=1; Secure", true),
            (https, "__Secure-c=1; Secure; Domain=a.test; Path=/", true),
            (https, "__Secure-c=1", false),
            (https, "__sEcUrE-c=1", false),
            (http, "__Secure-c=1; Secure", false),
            (https, "__Host-c=1; Secure; Path=/", true),
            (https, "__Host-c=1; Secure", false),
            (https, "__Host-c=1; Secure; Path=/x", false),
            (https, "__Host-c=1; Path=/", false),
            (https, "__Host-c=1; Secure; Path=/; Domain=a.test", false),
            (https, "__hOST-c=1; Path=/", false),
            (http, "__Host-c=1; Secure; Path=/", false),
            ("http://localhost/", "__Host-c=1; Secure; Path=/", true),
            (https, "__Hos=1", true),
            (http, "c=1; Secure", false),
        ] {
            let mut cookies = Cookies::default();
            keep(&mut cookies, url, set);
            let url = url.replace("http:", "https:");
            assert_eq!(
                !sent(&cookies, &url).is_empty(),
                is_kept,
                "{url} {set}"
            );
        }
    }

    #[test]
    fn holds_no_more_than_it_must() {
        let mut cookies = Cookies::default();
        let url = "http://a.example/";
        for number in 0..1000 {
            keep(&mut cookies, url, &format!("c{number}=1"));
        }
        assert_eq!(sent(&cookies, url).split("; ").count(), 50);
        // What is there is renewed, and goes, all the same.
        keep(&mut cookies, url, "c7=2");
        keep(&mut cookies, url, "c8=; Max-Age=0");
        let now = sent(&cookies, url);
        assert!(now.contains("c7=2") && !now.contains("c8="), "{now}");
        assert_eq!(now.split("; ").count(), 49);
        let mut cookies = Cookies::default();
        for number in 0..1000 {
            keep(&mut cookies, url, &format!("c{number}=1; Max-Age=0"));
        }
        keep(&mut cookies, url, &format!("large={}", "x".repeat(5000)));
        keep(&mut cookies, url, "last=1");
        assert_eq!(sent(&cookies, url), "last=1");
    }
}
