//! How many calls a source gets from the whole fleet, and the ledger of those calls.
//!
//! A permit is a time: "this call may leave then". A process whose callers wait asks for some with one
//! statement ([`grant`]), which spaces them under the lock of the source's row and gives none that is further
//! away than the horizon: what a killed process has not used is lost, and that is little. The end of each
//! call is noted ([`end`]), and what its answer says of the limit holds for the fleet from the next grant on.
//! docs/adr/0006-fleet-wide-call-limit.md says why.
//!
//! | file | what it does |
//! | --- | --- |
//! | `spacing.rs` | from a limit to the even distance of its calls |
//! | `grant.rs` | [`grant`]: permits for the callers of one process |
//! | `call_end.rs` | [`CallEnd`]: what became of a call |
//! | `end.rs` | [`end`], [`void`]: what became of a permit; pace and circuit are in the function `end_call` |
//! | `announced.rs` | [`Announced`]: what an answer says of the limit, and what of it counts |
//! | `circuit.rs` | [`hold`], [`release`]: the circuit, and the end of a silence, by hand |
//! | `state.rs` | [`state`]: what holds now |
//! | `evidence.rs` | [`evidence`]: what the ledger proves of a period; [`Survey`]: the same step by step |
//! | `busiest.rs` | the busiest stretch of a length |
//! | `recent.rs` | [`recent_calls`]: those of the last seconds |
//! | `ledger.rs` | [`ledger`]: its rows; [`keep_ledger`]: its partitions |

mod announced;
mod busiest;
mod call_end;
mod circuit;
mod end;
mod evidence;
mod grant;
mod ledger;
mod recent;
mod spacing;
mod state;

pub use announced::{Announced, AnnouncedLimit};
pub use call_end::{CallEnd, Ending, Void};
pub use circuit::{Released, hold, release};
pub use end::{end, silence_of, void};
pub use evidence::{Evidence, Survey, WindowUse, evidence};
pub use grant::{Answer, Caller, Demand, Obstacle, Permit, grant};
pub use ledger::{CallRecord, LedgerPlace, Period, keep_ledger, ledger};
pub use recent::{RecentCalls, recent_calls};
pub use state::{Circuit, State, state};

use std::time::Duration;

/// How much longer than a limit's time the stretch is in which we stay below it. Calls do not arrive as
/// evenly as they leave: this much later than others one may arrive without the source seeing one call too
/// many. It costs 2 % of a limit by the second, and next to nothing of one by the minute.
pub const MARGIN: Duration = Duration::from_millis(20);
