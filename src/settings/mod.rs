//! What the program asked for, and a request as it will be sent. No network
//! in here.

pub(crate) mod attempt;
pub(crate) mod network;
pub(crate) mod options;
pub(crate) mod request;
pub(crate) mod retry;
pub(crate) mod version;
