//! An attempt that is about to be made, as the program may change it.

use crate::error::Error;
use crate::memory::joined;
use crate::parser::Text;
use crate::settings::request::{Request, is_last_event_id};
use crate::url::HttpUrl;

/// What an attempt asks for. What the program changes holds for this attempt.
pub(crate) struct Attempt {
    /// From 1 on.
    pub(crate) number: u64,
    pub(crate) request: Request,
    /// The request as it is without a redirect that has made a GET of it.
    before_redirect: Option<Box<Request>>,
    /// Where it begins, if the program has said so.
    url: Option<Box<HttpUrl>>,
    /// The last event ID string, with its NUL, if the program has set it.
    last_event_id: Option<Vec<u8>>,
    /// Why it is not made, if the program has aborted it.
    aborted: Option<String>,
}

impl Attempt {
    /// One that asks as the settings say.
    pub(crate) fn new(number: u64, request: Request) -> Attempt {
        Attempt {
            number,
            request,
            before_redirect: None,
            url: None,
            last_event_id: None,
            aborted: None,
        }
    }

    /// The same, where a redirect has made a GET of the request.
    pub(crate) fn redirected_to_get(mut self) -> Attempt {
        self.before_redirect = Some(Box::new(self.request.clone()));
        self.request.become_get();
        self
    }

    /// Sets where the attempt begins, and not where a redirect has led: what
    /// that has made of the request is no more.
    pub(crate) fn set_url(&mut self, url: &str) -> Result<(), Error> {
        self.url = Some(Box::new(HttpUrl::parse(url)?));
        if let Some(before) = self.before_redirect.take() {
            self.request.restore(&before);
        }
        Ok(())
    }

    /// Sets the method, whatever a redirect has made of it.
    pub(crate) fn set_method(&mut self, method: &str) -> Result<(), Error> {
        self.request.change_method(method)?;
        self.before_redirect = None;
        Ok(())
    }

    /// Sets the last event ID string, from this attempt on.
    pub(crate) fn set_last_event_id(&mut self, id: &str) -> Result<(), Error> {
        if !is_last_event_id(id) {
            return Err(Error::Value);
        }
        self.last_event_id = Some(joined(&[id.as_bytes(), b"\0"])?);
        Ok(())
    }

    /// The last event ID string, if the program has set it.
    pub(crate) fn last_event_id(&self) -> Option<Text<'_>> {
        self.last_event_id.as_deref().map(Text::with_nul)
    }

    /// The same with its NUL, for good.
    pub(crate) fn take_last_event_id(&mut self) -> Option<Vec<u8>> {
        self.last_event_id.take()
    }

    /// Aborts the attempt: a message for people says why.
    pub(crate) fn abort(&mut self, message: Option<&str>) {
        let message = message.filter(|message| !message.is_empty());
        let message = message.unwrap_or("aborted by the program");
        self.aborted = Some(message.to_owned());
    }

    /// Why it is not made, if the program has aborted it.
    pub(crate) fn take_aborted(&mut self) -> Option<String> {
        self.aborted.take()
    }

    /// The request, and where it goes first if the program has said so.
    pub(crate) fn into_parts(self) -> (Request, Option<Box<HttpUrl>>) {
        (self.request, self.url)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE};

    use super::*;
    use crate::credentials::Credentials;

    fn posting() -> Request {
        let mut request = Request::default();
        request.set_body(Some(b"{}")).unwrap();
        request.set_header("Content-Type", Some("application/json")).unwrap();
        request.set_header("Content-Language", Some("de")).unwrap();
        request
    }

    #[test]
    fn a_url_undoes_what_a_redirect_has_made_of_the_request() {
        let mut attempt = Attempt::new(2, posting()).redirected_to_get();
        assert_eq!(attempt.request.method(), "GET");
        attempt.request.set_header("Content-Language", None).unwrap();
        attempt.set_url("http://b.test/").unwrap();
        let (request, url) = attempt.into_parts();
        assert_eq!(url.unwrap().as_str(), "http://b.test/");
        assert_eq!(request.method(), "POST");
        assert_eq!(request.body(), Some(&b"{}"[..]));
        let headers = request.headers(Credentials::Send);
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        // The program's last word.
        assert!(!headers.contains_key(CONTENT_LANGUAGE));
    }

    #[test]
    fn a_method_that_was_set_stays() {
        for url_first in [true, false] {
            let mut attempt = Attempt::new(2, posting()).redirected_to_get();
            if url_first {
                attempt.set_url("http://b.test/").unwrap();
            }
            attempt.set_method("GET").unwrap();
            attempt.set_url("http://b.test/").unwrap();
            assert_eq!(attempt.request.method(), "GET");
            assert_eq!(attempt.request.body(), None);
        }
    }

    #[test]
    fn an_id_is_what_a_stream_could_have_set() {
        let mut attempt = Attempt::new(1, Request::default());
        assert_eq!(attempt.last_event_id(), None);
        attempt.set_last_event_id("ü").unwrap();
        for bad in ["a\nb", "a\r", "\0"] {
            assert_eq!(attempt.set_last_event_id(bad), Err(Error::Value));
        }
        let id = attempt.last_event_id().unwrap();
        assert_eq!(id.bytes_with_nul(), "ü\0".as_bytes());
    }

    #[test]
    fn a_url_that_is_none_changes_nothing() {
        let mut attempt = Attempt::new(2, posting()).redirected_to_get();
        assert_eq!(attempt.set_url("b.test"), Err(Error::Url));
        assert_eq!(attempt.set_url("ftp://b.test/"), Err(Error::Scheme));
        let (request, url) = attempt.into_parts();
        assert_eq!((request.method().as_str(), url), ("GET", None));
    }
}
