//! The cookies of one source, in memory (RFC 6265). Without the feature
//! `cookies` there are none.

use http::header::{HeaderMap, HeaderValue};

use crate::url::HttpUrl;

/// What servers have asked a source to send back.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    #[cfg(feature = "cookies")]
    store: cookie_store::CookieStore,
}

#[cfg(feature = "cookies")]
impl Cookies {
    /// What RFC 6265, 6.1 asks a client to hold; a server that sets more, in
    /// weeks of reconnections, does not fill the memory.
    const MAX_COUNT: usize = 50;
    const MAX_SIZE: usize = 4096;

    /// Keeps the cookies that a response from `url` sets.
    pub(crate) fn keep(&mut self, headers: &HeaderMap, url: &HttpUrl) {
        for value in headers.get_all(http::header::SET_COOKIE) {
            let Ok(value) = str::from_utf8(value.as_bytes()) else { continue };
            if value.len() > Self::MAX_SIZE {
                continue;
            }
            if self.store.iter_any().count() >= Self::MAX_COUNT {
                self.forget_expired();
            }
            if self.store.iter_any().count() < Self::MAX_COUNT {
                // What is no cookie, or not for this URL, is not kept.
                let _ = self.store.parse(value, url.as_url());
            }
        }
    }

    fn forget_expired(&mut self) {
        let unexpired: Vec<_> = self.store.iter_unexpired().cloned().collect();
        let unexpired = unexpired.into_iter().map(Ok::<_, ()>);
        if let Ok(store) =
            cookie_store::CookieStore::from_cookies(unexpired, true)
        {
            self.store = store;
        }
    }

    /// The `Cookie` header of a request for `url`.
    pub(crate) fn header(&self, url: &HttpUrl) -> Option<HeaderValue> {
        let mut cookies = self.store.matches(url.as_url());
        if cookies.is_empty() {
            return None;
        }
        // RFC 6265, 5.4: longer paths first.
        cookies.sort_by_key(|cookie| {
            (std::cmp::Reverse(cookie.path.len()), cookie.name().to_owned())
        });
        let pairs: Vec<_> = cookies
            .iter()
            .map(|cookie| format!("{}={}", cookie.name(), cookie.value()))
            .collect();
        let mut value =
            HeaderValue::from_bytes(pairs.join("; ").as_bytes()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
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
    fn holds_no_more_than_it_must() {
        let mut cookies = Cookies::default();
        let url = "http://a.example/";
        for number in 0..1000 {
            keep(&mut cookies, url, &format!("c{number}=1"));
        }
        assert_eq!(sent(&cookies, url).split("; ").count(), 50);
        let mut cookies = Cookies::default();
        for number in 0..1000 {
            keep(&mut cookies, url, &format!("c{number}=1; Max-Age=0"));
        }
        keep(&mut cookies, url, &format!("large={}", "x".repeat(5000)));
        keep(&mut cookies, url, "last=1");
        assert_eq!(sent(&cookies, url), "last=1");
    }
}
