//! Makes one call to a source as its definition says: what is asked, what proves who we are, where the items
//! are in the answer and what leads to the next page. Knows HTTP, and no database; what limits the calls is
//! the caller's.
//!
//! ```text
//! let call = connector.prepare(&definition, step, base, link, &values).await?;   // secrets read, addresses checked
//! // .. leave to call ..
//! let answer = call.send().await;                                          // one call
//! ```
//!
//! | file | what it holds |
//! | --- | --- |
//! | `connector.rs` | [`Connector`]: what is kept between calls, and the making of a [`Call`] |
//! | `call.rs` | [`Call`] and [`Answer`]: from the request to the page |
//! | `download.rs` | [`Download`]: an attachment instead of a page |
//! | `probe.rs` | [`Probe`]: a dry call, for somebody who writes a definition |
//! | `request.rs` | method, address and body of a call, by page style |
//! | `home.rs` | the addresses of a source, and which links lead out of them |
//! | `client.rs` `address.rs` `proxy.rs` | the HTTP clients, where they may connect to, and through which proxy |
//! | `auth.rs` `secret.rs` `token/` | headers that prove who we are, and where their secrets come from |
//! | `body.rs` | receiving and unpacking a body, within its limit |
//! | `page.rs` `link_header.rs` | reading a page without changing a byte of its items |
//! | `error.rs` `refusal.rs` | why a call brought no page; which answers refuse it as one too many |
//! | `announced.rs` `wait.rs` | what the headers say of the limit, and when to call again |
//!
//! To add a page style: a variant of [`Paging`](resume_core::source::definition::Paging), its request in
//! `request.rs`, its next link in `page.rs`, a test in `tests/it/paging.rs`. To add a proof: a variant of
//! [`Auth`](resume_core::source::definition::Auth), its header in `auth.rs`, a test in `tests/it/auth.rs`.

mod address;
mod announced;
mod auth;
mod body;
mod call;
mod client;
mod connector;
mod download;
mod error;
mod home;
mod link_header;
mod page;
mod probe;
mod proxy;
mod refusal;
mod request;
mod secret;
mod token;
mod wait;

pub use announced::announced;
pub use body::PAGE_BYTES_MAX;
pub use call::{Answer, Call};
pub use client::{SetupError, Timeouts};
pub use connector::Connector;
pub use download::Download;
pub use error::{CallError, TokenError};
pub use home::LINK_BYTES_MAX;
pub use page::{ITEMS_MAX, Page};
pub use probe::Probe;
pub use proxy::InvalidProxy;
pub use token::{FleetTokens, Hold, NotShared};
