//! Whether secrets go along with a request.

/// Whether something that is meant for some servers only is sent to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    Send,
    Withhold,
}

impl Credentials {
    /// To be sent if `allowed`, and withheld if not.
    pub(crate) fn if_allowed(allowed: bool) -> Credentials {
        match allowed {
            true => Credentials::Send,
            false => Credentials::Withhold,
        }
    }

    pub(crate) fn are_sent(self) -> bool {
        self == Credentials::Send
    }
}
