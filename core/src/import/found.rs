use serde_json::value::RawValue;

use super::fault::{Fault, Faults, MAX_FAULTS, Place, explain, shown};
use crate::parsing::MAX_DOCUMENT_BYTES;

/// The largest item, in bytes: what the parser reads.
pub const MAX_ITEM_BYTES: usize = MAX_DOCUMENT_BYTES;

/// Where what is found in a file goes.
pub(super) struct Found<'a> {
    take: &'a mut dyn FnMut(&[u8]),
    faults: Faults,
}

impl<'a> Found<'a> {
    pub(super) fn new(take: &'a mut dyn FnMut(&[u8])) -> Self {
        Self { take, faults: Faults::default() }
    }

    /// Fails with the faults, if there are any.
    pub(super) fn into_result(self) -> Result<(), Faults> {
        if self.faults.count > 0 { Err(self.faults) } else { Ok(()) }
    }

    pub(super) fn fault(&mut self, place: Place, detail: impl Into<String>) {
        self.faults.count += 1;
        if self.faults.first.len() < MAX_FAULTS {
            self.faults.first.push(Fault { place, detail: detail.into() });
        }
    }

    /// Whether there are more faults than are listed, so that reading on is useless.
    pub(super) fn is_over(&self) -> bool {
        self.faults.count > MAX_FAULTS as u64
    }

    /// Hands an item to the caller, unless the file is bad.
    pub(super) fn give(&mut self, item: &[u8]) {
        if self.faults.count == 0 {
            (self.take)(item);
        }
    }

    /// Takes what begins here and should be JSON, if it is an object.
    pub(super) fn item(&mut self, place: Place, bytes: &[u8]) {
        match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(_) => self.element(place, bytes),
            Err(error) => self.fault(place.behind(&error), format!("no JSON: {}", explain(&error))),
        }
    }

    /// Takes JSON that begins here, if it is an object.
    pub(super) fn element(&mut self, place: Place, bytes: &[u8]) {
        match bytes.first() {
            _ if bytes.len() > MAX_ITEM_BYTES => self.too_long(place),
            Some(b'{') => self.give(bytes),
            Some(b'[') => self.fault(place, "a list: an item is an object, { .. }"),
            _ => {
                let text = String::from_utf8_lossy(bytes);
                self.fault(place, format!("{}: an item is an object, {{ .. }}", shown(&text)));
            }
        }
    }

    /// Notes an item that is longer than may be.
    pub(super) fn too_long(&mut self, place: Place) {
        self.fault(place, too_long());
    }
}

pub(super) fn too_long() -> String {
    format!("an item of more than {MAX_ITEM_BYTES} bytes: the most is {MAX_ITEM_BYTES}")
}
