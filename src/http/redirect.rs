//! Redirects: which responses are some, where they lead, and what becomes of
//! the request (Fetch, "HTTP-redirect fetch").

use http::Method;
use http::header::{self, HeaderValue};
use url::Url;

use crate::error::Error;
use crate::failure::Failure;
use crate::response::Response;
use crate::settings::options::target;

/// The `Location` of a redirect; without one it is an ordinary response.
pub(crate) fn location(response: &Response) -> Option<&HeaderValue> {
    matches!(response.status, 301 | 302 | 303 | 307 | 308)
        .then(|| response.headers.get(header::LOCATION))?
}

/// Fetch, "HTTP-redirect fetch": which redirects make a GET of a request.
pub(crate) fn drops_the_body(status: u16, method: &Method) -> bool {
    match status {
        301 | 302 => method == Method::POST,
        303 => method != Method::GET,
        _ => false,
    }
}

/// The URL that a `Location` names, if it can be followed.
pub(crate) fn follow(
    url: &Url,
    location: &HeaderValue,
) -> Result<Url, Failure> {
    let refused = |why: &str| Failure::new(Error::Redirect, why);
    let next = str::from_utf8(location.as_bytes())
        .ok()
        .and_then(|location| url.join(location).ok())
        .ok_or_else(|| refused("redirect to something that is no URL"))?;
    match (url.scheme(), next.scheme()) {
        ("https", "http") => {
            Err(refused("redirect from https to http is not followed"))
        }
        (_, "http" | "https") if target(&next).is_ok() => Ok(next),
        (_, "http" | "https") => {
            Err(refused("redirect to a URL that no request can name"))
        }
        (_, scheme) => {
            Err(refused(&format!("redirect to a {scheme} URL is not followed")))
        }
    }
}
