//! Looking up names.

use super::jobs::{JobKind, Outcome};
use super::{EventLoop, Sink};
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::sys::resolve::{self, NameQuery, Query};

impl<S: Sink> EventLoop<S> {
    /// Looks up the addresses of a host, on a thread; the handle gets [`Outcome::Addresses`] and closes.
    ///
    /// # Errors
    /// As [`EventLoop::work_open`].
    pub fn resolve_open(&self, query: Query, user: S::User, referenced: bool) -> Result<Id> {
        let run = move || Outcome::Addresses(resolve::look_up(&query));
        self.core()?.job_open(JobKind::Resolve, user, referenced, run)
    }

    /// Looks up what an address is called, on a thread; the handle gets [`Outcome::Names`] and closes.
    ///
    /// # Errors
    /// As [`EventLoop::work_open`]; [`Error::INVALID`] for the name of a Unix socket, and for a name that is required and
    /// not to be asked for.
    pub fn resolve_name_open(&self, query: NameQuery, user: S::User, referenced: bool) -> Result<Id> {
        if matches!(query.address, Address::Unix(_)) {
            return Err(Error::invalid("only addresses of IPv4 and IPv6 have names"));
        }
        if query.numeric && query.required {
            return Err(Error::invalid("a name is required, and none may be looked up"));
        }
        let run = move || Outcome::Names(resolve::look_up_name(&query));
        self.core()?.job_open(JobKind::Resolve, user, referenced, run)
    }
}
