//! An applicant tracking system that does not exist: the external API which Resume Service collects from in
//! the demo, in tests and in benches.
//!
//! It serves two faces ([`Face`]): people of its own invention, and JSON Resume documents. Both are paged,
//! slow (50 to 200 ms), limited (30 calls in any second, then 429) and can be told to misbehave ([`Fault`]).
//! Everything about the people is a pure function of `(face, seed, index, errors)`; everything about one
//! running system (limit, latency, faults, counters) belongs to one [`Ats`].
//!
//! | file | what it holds |
//! | --- | --- |
//! | `ats.rs` | [`Ats`] and [`Settings`]: one running system, answers calls without a transport |
//! | `face.rs` `query.rs` | what can be asked: [`Face`], [`PageQuery`], [`QueryError`] |
//! | `page.rs` `item.rs` | the bytes of a page and of one item |
//! | `people.rs` `skills.rs` `json_resumes/` | the two kinds of item |
//! | `broken.rs` | the ways an item is unparsable, and which items are |
//! | `random.rs` `json.rs` | the generator everything is drawn from, and the smallest pieces of JSON |
//! | `gate.rs` `limiter.rs` `faults.rs` `stats.rs` | what becomes of a call: limit, [`Fault`], [`Stats`] |
//! | `answer.rs` `problem.rs` | [`Answer`]: a reply, a cut-off reply, or silence |
//! | `misbehave.rs` | what a [`Fault`] makes of a reply |
//! | `apis/` | [`Api`]: lists that behave like those of real systems |
//! | `app.rs` `serve.rs` | the HTTP endpoint, and [`MockServer`] on a port of its own |
//!
//! To add a kind of fault: a variant of [`FaultKind`], its effect in `ats.rs`, a test in
//! `tests/it/faults.rs`.
//! To add a way to break an item: a variant in `broken.rs`, its effect in `people.rs` and `json_resumes/`, or
//! `item.rs`.
//! To add a resume: a file in `samples/`, a line in `samples/README.md` and in `json_resumes/mod.rs`.

mod answer;
mod apis;
mod app;
mod ats;
mod broken;
mod face;
mod faults;
mod gate;
mod item;
mod json;
mod json_resumes;
mod limiter;
mod misbehave;
mod page;
mod people;
mod problem;
mod query;
mod random;
mod serve;
mod skills;
mod stats;

pub use answer::{Answer, Reply};
pub use apis::{Api, ApiStats, Call};
pub use app::app;
pub use ats::{Ats, Settings};
pub use broken::{Breakage, breakage, is_broken};
pub use face::Face;
pub use faults::{DETAILS_FROM, FILES_FROM, Fault, FaultKind, Pages, Times};
pub use item::item;
pub use page::page;
pub use query::{PageParams, PageQuery, QueryError};
pub use serve::MockServer;
pub use skills::SKILLS;
pub use stats::Stats;
