use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use poem::{
    http::{Method, StatusCode},
    web::headers::{
        Authorization, HeaderMapExt,
        authorization::{Basic, Bearer},
    },
};

use super::{
    ApiState, Call,
    person::{Person, first_updated_since},
    slice::{Next, Slice, slice},
};
use crate::{FaultKind, Reply};

/// What an API has before it when it answers a call: the call, and its own state.
pub(super) struct Desk<'a> {
    pub(super) call: &'a Call,
    state: &'a mut ApiState,
    /// What goes wrong with this call; known once the list was read.
    pub(super) fault: Option<FaultKind>,
    /// Whether the credential was refused.
    pub(super) unauthorized: bool,
    /// What faults count as the first page of the list that is asked for, less one, where an API has several.
    pub(super) pages_before: u32,
}

/// A page of a list.
pub(super) struct Page {
    pub(super) people: Vec<Person>,
    pub(super) next: Next,
    /// How many people the whole list has, or is said to have.
    pub(super) total: u64,
}

impl<'a> Desk<'a> {
    pub(super) fn new(state: &'a mut ApiState, call: &'a Call) -> Self {
        Self { call, state, fault: None, unauthorized: false, pages_before: 0 }
    }

    /// An error in this API's words.
    pub(super) fn error(&self, status: StatusCode, detail: &str) -> Reply {
        (self.state.description.error)(status, detail)
    }

    /// Goes on for this method and path only.
    pub(super) fn route(&self, method: Method, path: &str) -> Result<(), Reply> {
        self.route_at(&self.call.path, method, path)
    }

    /// What follows `prefix` and the name of a company in the path. Every customer of such an API writes his
    /// own.
    pub(super) fn behind_company(&self, prefix: &str) -> &'a str {
        let rest = self.call.path.strip_prefix(prefix).unwrap_or_default();
        rest.find('/').map_or("", |slash| &rest[slash..])
    }

    /// As [`Desk::route`], with the call's path read from `at` on.
    pub(super) fn route_at(&self, at: &str, method: Method, path: &str) -> Result<(), Reply> {
        if at.trim_end_matches('/') != path {
            return Err(self.error(StatusCode::NOT_FOUND, "there is nothing under this path"));
        }
        if self.call.method != method {
            let detail = format!("this path answers {method} only");
            return Err(self.error(StatusCode::METHOD_NOT_ALLOWED, &detail));
        }
        Ok(())
    }

    /// The user of `Authorization: Basic`, when the password is blank.
    pub(super) fn basic_user(&self) -> Option<String> {
        let Authorization(basic) = self.call.headers.typed_get::<Authorization<Basic>>()?;
        basic.password().is_empty().then(|| basic.username().to_owned())
    }

    /// The token of `Authorization: Bearer`.
    pub(super) fn bearer(&self) -> Option<String> {
        let Authorization(bearer) = self.call.headers.typed_get::<Authorization<Bearer>>()?;
        Some(bearer.token().to_owned())
    }

    /// A header, when it is text.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        Some(self.call.headers.get(name)?.to_str().ok()?.to_owned())
    }

    /// Goes on with the right credential only.
    pub(super) fn admit(&mut self, credential: Option<String>) -> Result<(), Reply> {
        let is_right = credential.as_deref() == Some(&self.state.key);
        if is_right || !self.state.wants_credentials { Ok(()) } else { Err(self.refuse()) }
    }

    /// Goes on with a token of [`Desk::issue_token`] only, and uses one of its calls.
    pub(super) fn admit_token(&mut self) -> Result<(), Reply> {
        let token = self.bearer().unwrap_or_default();
        match self.state.tokens.get_mut(&token) {
            Some(calls_left) if *calls_left > 0 => {
                *calls_left -= 1;
                Ok(())
            }
            _ if !self.state.wants_credentials => Ok(()),
            _ => Err(self.refuse()),
        }
    }

    /// A new token, for a client that proves itself with the credential.
    pub(super) fn issue_token(&mut self, client: &str) -> Result<String, Reply> {
        let basic = self.call.headers.typed_get::<Authorization<Basic>>();
        let is_right = basic.is_some_and(|Authorization(basic)| {
            basic.username() == client && basic.password() == self.state.key
        });
        if !is_right && self.state.wants_credentials {
            return Err(self.refuse());
        }
        let token = format!("token-{}", self.state.tokens.len() + 1);
        self.state.tokens.insert(token.clone(), self.state.token_calls);
        Ok(token)
    }

    /// A new signature for the addresses of files.
    pub(super) fn sign(&mut self) -> String {
        self.state.signatures += 1;
        format!("s{}", self.state.signatures)
    }

    /// Whether this is a signature that was given out and is not void.
    pub(super) fn is_signed(&self, signature: Option<&str>) -> bool {
        let number = signature.and_then(|text| text.strip_prefix('s')?.parse::<u64>().ok());
        number.is_some_and(|number| number > self.state.void_signatures && number <= self.state.signatures)
    }

    fn refuse(&mut self) -> Reply {
        self.unauthorized = true;
        let (status, detail) = self.state.description.unauthorized;
        self.error(status, detail)
    }

    pub(super) fn param(&self, name: &str) -> Option<&'a str> {
        self.call.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a number in `range`; `default` when it is not given.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<u64>, default: u64) -> Result<u64, Reply> {
        let Some(text) = self.param(name) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (first, last) = range.into_inner();
            self.bad_request(&format!("{name} must be a whole number from {first} to {last}"))
        })
    }

    /// A parameter that is a time as RFC 3339 writes it: the index of the first person changed since.
    pub(super) fn since(&self, name: &str) -> Result<u64, Reply> {
        self.since_from(name, "")
    }

    /// As [`Desk::since`], where the time stands behind `prefix` and ends with the text or with `|`.
    pub(super) fn since_from(&self, name: &str, prefix: &str) -> Result<u64, Reply> {
        let Some(text) = self.param(name) else { return Ok(0) };
        let text = text.strip_prefix(prefix).and_then(|text| text.split('|').next()).unwrap_or_default();
        let time = DateTime::parse_from_rfc3339(text)
            .map_err(|_| self.bad_request(&format!("{name} must be a time such as 2026-01-01T00:00:00Z")))?;
        Ok(first_updated_since(time.with_timezone(&Utc)))
    }

    pub(super) fn bad_request(&self, detail: &str) -> Reply {
        self.error(self.state.description.bad_request, detail)
    }

    /// What a position gets that is unknown or no longer known.
    pub(super) fn expired(&self) -> Reply {
        let (status, detail) = self.state.description.expired;
        self.error(status, detail)
    }

    /// The place that a token of [`Page::token`] stands for; the first one without a token.
    pub(super) fn place(&self, token: Option<&str>) -> Result<u64, Reply> {
        let Some(token) = token else { return Ok(0) };
        let digits = token.strip_prefix("at_").ok_or_else(|| self.expired())?;
        u64::from_str_radix(digits, 16).map_err(|_| self.expired())
    }

    /// How many people there are, unfiltered.
    pub(super) fn people(&self) -> u64 {
        self.state.people.into()
    }

    /// The person of this id, all of them, and draws the fault of this call.
    pub(super) fn person(&mut self, id: &str) -> Result<Person, Reply> {
        let external_id = self.state.description.external_id;
        let Some(index) = (0..self.people()).find(|index| external_id(*index) == id) else {
            return Err(self.error(StatusCode::NOT_FOUND, "there is no candidate of this id"));
        };
        self.draw_fault(crate::DETAILS_FROM.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))?;
        Ok(Person::new(index))
    }

    /// Draws the fault of a call; those that the API tells in its own words end it.
    pub(super) fn draw_fault(&mut self, page: u32) -> Result<(), Reply> {
        self.fault = self.state.faults.next(self.state.description.name, page);
        match self.fault {
            Some(FaultKind::CursorExpired) => return Err(self.expired()),
            Some(FaultKind::CredentialsRotate) => {
                self.state.rotate("mock-key-2");
                return Err(self.refuse());
            }
            Some(FaultKind::PersonComes) => self.state.came += 1,
            Some(FaultKind::PersonGoes(index)) => self.state.let_go(index.into()),
            _ => {}
        }
        Ok(())
    }

    /// Reads `size` people from `place` on, of those from index `first` on, and draws the fault of this page.
    /// Who came since is at the head of the list, and who has come back at its end.
    pub(super) fn list(&mut self, first: u64, place: u64, size: u64) -> Result<Page, Reply> {
        self.list_among(first, place, size, false)
    }

    /// As [`Desk::list`], with all who have gone.
    pub(super) fn list_with_gone(&mut self, first: u64, place: u64, size: u64) -> Result<Page, Reply> {
        self.list_among(first, place, size, true)
    }

    fn list_among(&mut self, first: u64, place: u64, size: u64, with_gone: bool) -> Result<Page, Reply> {
        self.draw_fault(self.page_number(place, size))?;
        let (came, people) = (u64::from(self.state.came), self.people());
        let (gone, back) = (&self.state.gone, &self.state.back);
        let left_out: Vec<u64> = match with_gone {
            true => Vec::new(),
            false => gone.range(first..people.max(first)).map(|(&index, _)| index).collect(),
        };
        let shown_though_gone = gone.keys().filter(|_| with_gone);
        let earlier: Vec<u64> =
            shown_though_gone.chain(back).copied().filter(|&index| index < first).collect();
        let regular = people.saturating_sub(first) - left_out.len() as u64;
        let total = came + regular + earlier.len() as u64;
        Ok(self.slice(total, place, size, |place| {
            if place < came {
                return people + came - 1 - place;
            }
            let place = place - came;
            if let Some(&index) = place.checked_sub(regular).and_then(|place| earlier.get(place as usize)) {
                return index;
            }
            left_out.iter().fold(first + place, |index, &gone| if gone <= index { index + 1 } else { index })
        }))
    }

    /// Reads `size` of those who have gone at this time or later, in milliseconds since 1970, from `place`
    /// on. Faults call these pages 1001, 1002, ..
    pub(super) fn gone(&mut self, since: u64, place: u64, size: u64) -> Result<Page, Reply> {
        self.pages_before = 1000;
        self.draw_fault(self.page_number(place, size))?;
        let gone = self.state.gone.iter().filter(|(_, at)| **at >= since);
        let gone: Vec<u64> = gone.map(|(&index, _)| index).collect();
        let at = |place: u64| gone.get(place as usize).copied().unwrap_or_default();
        Ok(self.slice(gone.len() as u64, place, size, at))
    }

    /// As [`Desk::list`], of a list of `total` in which `index` tells who is at a place. Nobody comes or goes
    /// in it.
    pub(super) fn list_by(
        &mut self,
        total: u64,
        place: u64,
        size: u64,
        index: impl Fn(u64) -> u64,
    ) -> Result<Page, Reply> {
        self.draw_fault(self.page_number(place, size))?;
        Ok(self.slice(total, place, size, index))
    }

    fn page_number(&self, place: u64, size: u64) -> u32 {
        let page = u32::try_from(place / size).unwrap_or(u32::MAX).saturating_add(1);
        page.saturating_add(self.pages_before)
    }

    fn slice(&self, total: u64, place: u64, size: u64, index: impl Fn(u64) -> u64) -> Page {
        let Slice { places, changed, next } = slice(total, place, size, self.fault);
        let changed = changed.map(|place| Person::changed(index(place)));
        let person = |place| {
            let index = index(place % total.max(1));
            Person { is_gone: self.state.gone.contains_key(&index), ..Person::new(index) }
        };
        let people = changed.into_iter().chain(places.map(person));
        let more = match self.fault {
            Some(FaultKind::AnnouncesMore(more)) => more.into(),
            _ => 0,
        };
        Page { people: people.collect(), next, total: total + more }
    }
}

impl Page {
    /// Whether the page says that there are more.
    pub(super) fn has_more(&self) -> bool {
        self.next != Next::End
    }

    /// Where the next page begins, and its size.
    pub(super) fn next_place(&self) -> Option<(u64, u64)> {
        match self.next {
            Next::At { place, size } => Some((place, size)),
            Next::End | Next::Missing => None,
        }
    }

    /// An opaque token for the place of the next page.
    pub(super) fn token(&self) -> Option<String> {
        self.next_place().map(|(place, _)| format!("at_{place:x}"))
    }

    /// Each person as the API shows them.
    pub(super) fn show(&self, item: fn(&Person) -> serde_json::Value) -> Vec<serde_json::Value> {
        self.people.iter().map(item).collect()
    }
}
