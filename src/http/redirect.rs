//! Redirects: which responses are some, where they lead, and what becomes of
//! the request (Fetch, "HTTP-redirect fetch").

use http::Method;
use http::header::{self, HeaderValue};
use percent_encoding::{AsciiSet, percent_encode};

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
    let refused = |why: &str| Failure::new(Error::Redirect, why);
    // Bytes that are no text go as they came.
    let location = percent_encode(location.as_bytes(), &AsciiSet::EMPTY);
    let mut next = url
        .join(&location.to_string())
        .map_err(|_| refused("redirect to something that is no URL"))?;
    if next.fragment().is_none() {
        next.set_fragment(url.as_url().fragment());
    }
    let scheme = next.scheme().to_owned();
    let next = HttpUrl::try_from(next).map_err(|_| {
        refused(&format!("redirect to a {scheme} URL is not followed"))
    })?;
    match url.is_secure() && !next.is_secure() {
        true => Err(refused("redirect from https to http is not followed")),
        false => Ok(next),
    }
}
