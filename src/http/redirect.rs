//! Redirects: which responses are some, where they lead, and what becomes of
//! the request (Fetch, "HTTP-redirect fetch").

use http::Method;
use http::header::{self, HeaderValue};
use percent_encoding::{AsciiSet, percent_encode};
use url::Url;

use crate::error::Error;
use crate::failure::Failure;
use crate::response::Response;
use crate::url::HttpUrl;

/// The `Location` of a redirect; without one it is an ordinary response.
pub(crate) fn location(
    response: &Response,
) -> Result<Option<&HeaderValue>, Failure> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let mut locations = response.headers.get_all(header::LOCATION).iter();
    let first = locations.next();
    match locations.all(|other| Some(other) == first) {
        true => Ok(first),
        false => Err(Failure::new(
            Error::Redirect,
            "redirect to several places at once",
        )),
    }
}

/// Fetch, "HTTP-redirect fetch": which redirects make a GET of a request.
pub(crate) fn drops_the_body(status: u16, method: &Method) -> bool {
    match status {
        // RFC 9110, 15.4.2 and 15.4.3: for the sake of what browsers have
        // always done with forms. Other methods stay what they are.
        301 | 302 => method == Method::POST,
        303 => method != Method::GET,
        _ => false,
    }
}

/// The URL that a `Location` names, if it can be followed (Fetch, "location
/// URL": without a fragment of its own it has that of `url`).
pub(crate) fn follow(
    url: &HttpUrl,
    location: &HeaderValue,
) -> Result<HttpUrl, Failure> {
    // What a server says so is what it says the next time.
    let refused = |why: &str| Failure::new(Error::Redirect, why).futile();
    // Bytes that are no text go as they came.
    let location = percent_encode(location.as_bytes(), &AsciiSet::EMPTY);
    let location = location.to_string();
    let mut next = url.join(&location).map_err(|_| {
        let told = without_secrets(&location);
        refused(&format!("redirect to {told}, which is no URL"))
    })?;
    if next.fragment().is_none() {
        next.set_fragment(url.as_url().fragment());
    }
    let told = told(&next);
    let next = HttpUrl::try_from(next).map_err(|_| {
        refused(&format!("redirect to {told}, which is neither http nor https"))
    })?;
    // Whoever listens there would read the stream, and choose what is in it.
    if url.is_secure() && !next.is_secure() {
        let message = format!("redirect from https to {told} is not followed");
        return Err(refused(&message));
    }
    Ok(next)
}

/// A URL as a message may show it: of those without an origin the scheme alone
/// says nothing secret.
fn told(url: &Url) -> String {
    match url.has_host() {
        true => without_secrets(url.as_str()),
        false => format!("{}:", url.scheme()),
    }
}

/// What looks like a URL without what may be secret in one: user, password,
/// query and fragment. Servers may say much: of a long one the beginning.
fn without_secrets(text: &str) -> String {
    const LENGTH: usize = 200;

    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match text.split_once("//") {
        Some((scheme, rest)) if !scheme.contains(['@', '/']) => (scheme, rest),
        // All of it may be in the place of a user's name.
        _ => ("", text),
    };
    let (_, shown) = rest.rsplit_once('@').unwrap_or(("", rest));
    let slashes = if rest.len() < text.len() { "//" } else { "" };
    let told: String = [scheme, slashes, shown].concat();
    match told.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &told[..end]),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_a_redirect_leads_without_secrets() {
        for (location, told) in [
            ("http://[x/y", "http://[x/y"),
            ("http://u:SECRET@[x/y?SECRET#SECRET", "http://[x/y"),
            ("http://SECRET@SECRET@[x/@y#SECRET", "http://y"),
            ("http:SECRET@[x", "[x"),
            ("//SECRET@[x", "//[x"),
            ("SECRET@a//b", "a//b"),
            ("http://[?SECRET//@x", "http://["),
            ("", ""),
            ("#SECRET", ""),
        ] {
            assert_eq!(without_secrets(location), told, "{location}");
        }
        let long = without_secrets(&format!("http://{}", "ü".repeat(300)));
        assert_eq!(long.chars().count(), 203);
        for (url, shown) in [
            ("ftp://u:SECRET@x:1/y?SECRET#SECRET", "ftp://x:1/y"),
            ("mailto:SECRET", "mailto:"),
            ("data:text/plain,SECRET", "data:"),
            ("file:///SECRET", "file:"),
        ] {
            assert_eq!(told(&Url::parse(url).unwrap()), shown);
        }
    }
}
