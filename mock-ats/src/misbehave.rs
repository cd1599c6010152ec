use std::time::{Duration, SystemTime};

use bytes::Bytes;
use poem::http::StatusCode;

use crate::{Answer, FaultKind, Reply};

/// How long [`FaultKind::HugePage`] makes a page.
const HUGE_BYTES: usize = 10_000_000;

/// What a fault makes of a reply that would have been right. Faults of the list itself have happened in it
/// already. `error` writes an error as this API does; `url` is the path and query that was asked for.
pub(crate) fn misbehave(
    kind: FaultKind,
    reply: Reply,
    error: impl Fn(StatusCode, &str) -> Reply,
    url: &str,
) -> Answer {
    let asked_for = "this fault was asked for";
    Answer::Whole(match kind {
        FaultKind::Status(status) => {
            error(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), asked_for)
        }
        FaultKind::RateLimited { retry_after_seconds } => {
            let refusal = error(StatusCode::TOO_MANY_REQUESTS, asked_for);
            Reply { retry_after_seconds: Some(retry_after_seconds.into()), ..refusal }
        }
        FaultKind::RateLimitedUntil { retry_after_seconds, clock_skew_seconds } => {
            let refusal = error(StatusCode::TOO_MANY_REQUESTS, asked_for);
            let now = skewed(SystemTime::now(), clock_skew_seconds);
            let until = now + Duration::from_secs(retry_after_seconds.into());
            refusal
                .with("date", httpdate::fmt_http_date(now))
                .with("retry-after", httpdate::fmt_http_date(until))
        }
        FaultKind::Hang => return Answer::Hang,
        FaultKind::CutBody => {
            let sent_bytes = reply.body.len() / 2;
            return Answer::CutOff { reply, sent_bytes };
        }
        FaultKind::InvalidJson => {
            let mut body = reply.body.to_vec();
            body.pop();
            body.push(b'?');
            Reply { body: body.into(), ..reply }
        }
        FaultKind::HugePage => {
            let mut body = reply.body.to_vec();
            body.resize(body.len().max(HUGE_BYTES), b' ');
            Reply { body: body.into(), ..reply }
        }
        FaultKind::GzipBomb => Reply { body: gzip_bomb(), ..reply }.with("content-encoding", "gzip"),
        FaultKind::Redirect(to) => {
            error(StatusCode::FOUND, asked_for).with("location", format!("http://{to}{url}"))
        }
        _ => reply,
    })
}

fn skewed(now: SystemTime, seconds: i32) -> SystemTime {
    let skew = Duration::from_secs(seconds.unsigned_abs().into());
    if seconds < 0 { now - skew } else { now + skew }
}

/// 134,160,001 spaces as gzip. Written out and not compressed, which would take seconds: after the table of
/// codes and the first space, each two zero bits mean "the last 258 bytes once more".
fn gzip_bomb() -> Bytes {
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    const CODES: [u8; 14] = [0xed, 0xc0, 0x81, 0, 0, 0, 0, 0x80, 0x20, 0x95, 0xfd, 0x29, 0x17, 0xa9];
    const REPEATS: usize = 130_000;
    const END: u8 = 0b110;
    const CRC_32: u32 = 0xae92_51af;
    const SPACES: u32 = 134_160_001;
    let mut body = [HEAD.as_slice(), &CODES].concat();
    body.resize(body.len() + REPEATS, 0);
    body.push(END);
    body.extend_from_slice(&CRC_32.to_le_bytes());
    body.extend_from_slice(&SPACES.to_le_bytes());
    body.into()
}
