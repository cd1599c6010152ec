use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, Read},
};

use serde::{
    Deserializer as _,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};

use super::{
    fault::{Place, explain},
    found::{Found, MAX_ITEM_BYTES},
};
use crate::{
    parsing::{id_at, json_pointer},
    source::definition::Definition,
};

/// The largest file that is one object, in bytes: it is in memory as a whole. An answer of an API has at most
/// half of it.
const MAX_OBJECT_BYTES: u64 = 32 * 1024 * 1024;

/// How deep in an object a list is looked for, and how many lists an error names.
const MAX_LIST_DEPTH: usize = 3;
const MAX_LISTS: usize = 5;

/// Reads a list of objects, or one object.
pub(super) fn read(
    file: &mut impl BufRead,
    definition: &Definition,
    found: &mut Found<'_>,
) -> io::Result<()> {
    let mut begin = Place::START;
    loop {
        match file.fill_buf()?.first() {
            None => return Ok(()),
            Some(byte) if byte.is_ascii_whitespace() => begin.pass(&[*byte]),
            Some(b'[') => return read_list(file, begin, found),
            Some(b'{') => return read_object(file, begin, definition, found),
            Some(_) => {
                let detail = "a file of JSON begins with `[`, a list of objects, or with `{`, one object";
                found.fault(begin, detail);
                return Ok(());
            }
        }
        file.consume(1);
    }
}

/// Reads the elements of a list that begins here, one after the other.
fn read_list(input: impl Read, begin: Place, found: &mut Found<'_>) -> io::Result<()> {
    let progress = Progress { here: Cell::new(begin), item: Cell::new(None), length: Cell::new(0) };
    let mut json = Deserializer::from_reader(Watched { input, progress: &progress });
    let mut is_whole = false;
    let read = json.deserialize_seq(Elements { progress: &progress, found }).and_then(|()| {
        is_whole = true;
        json.end()
    });
    let Err(error) = read else { return Ok(()) };
    if progress.length.get() > MAX_ITEM_BYTES && !is_whole {
        found.too_long(progress.item.get().unwrap_or(begin));
    } else if error.is_io() {
        return Err(error.into());
    } else if error.is_eof() {
        found.fault(progress.here.get(), "the file ends in the middle of its list: `]` is missing");
    } else if is_whole {
        more_follows(begin.behind(&error), found);
    } else if !found.is_over() {
        found.fault(begin.behind(&error), format!("no JSON: {}", explain(&error)));
    }
    Ok(())
}

fn more_follows(place: Place, found: &mut Found<'_>) {
    found.fault(
        place,
        "more follows behind the end of the JSON; objects one after the other, each on a line, are NDJSON \
         (application/x-ndjson)",
    );
}

/// How far a list is read, for the one who takes its elements.
struct Progress {
    /// Where the next byte stands.
    here: Cell<Place>,
    /// Where the element begins, and how many bytes of it were read.
    item: Cell<Option<Place>>,
    length: Cell<usize>,
}

/// Hands bytes on and notes where they stand. Ends an element that is too long, which the parser would keep
/// in memory.
struct Watched<'p, R> {
    input: R,
    progress: &'p Progress,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Progress { here, item, length } = self.progress;
        let count = self.input.read(buffer)?;
        for byte in &buffer[..count] {
            let is_between = byte.is_ascii_whitespace() || *byte == b',';
            if item.get().is_none() && !is_between {
                item.set(Some(here.get()));
            }
            if item.get().is_some() {
                length.set(length.get() + 1);
            }
            let mut next = here.get();
            next.pass(&[*byte]);
            here.set(next);
        }
        // The parser looks one byte ahead.
        if length.get() > MAX_ITEM_BYTES + 1 {
            return Err(io::Error::other("an item that is too long"));
        }
        Ok(count)
    }
}

struct Elements<'e, 'f> {
    progress: &'e Progress,
    found: &'e mut Found<'f>,
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let begin_next = || {
            self.progress.item.set(None);
            self.progress.length.set(0);
        };
        begin_next();
        while let Some(item) = list.next_element::<Box<RawValue>>()? {
            let place = self.progress.item.get().unwrap_or(Place::START);
            self.found.element(place, item.get().as_bytes());
            if self.found.is_over() {
                return Err(A::Error::custom("enough is wrong"));
            }
            begin_next();
        }
        Ok(())
    }
}

/// Reads the one object that the file is: an item, or an answer of the API with the items in a list.
fn read_object(
    file: &mut impl BufRead,
    begin: Place,
    definition: &Definition,
    found: &mut Found<'_>,
) -> io::Result<()> {
    let mut body = Vec::new();
    file.take(MAX_OBJECT_BYTES + 1).read_to_end(&mut body)?;
    let mut values = Deserializer::from_slice(&body).into_iter::<&RawValue>();
    let object = match values.next() {
        Some(Ok(object)) => object.get().as_bytes(),
        Some(Err(error)) if error.is_eof() && body.len() as u64 > MAX_OBJECT_BYTES => {
            let detail =
                format!("one object of more than {MAX_OBJECT_BYTES} bytes: write a list of the items");
            found.fault(begin, detail);
            return Ok(());
        }
        Some(Err(error)) if error.is_eof() => {
            let mut end = begin;
            end.pass(&body);
            found.fault(end, "the file ends in the middle of an object");
            return Ok(());
        }
        Some(Err(error)) => {
            found.fault(begin.behind(&error), format!("no JSON: {}", explain(&error)));
            return Ok(());
        }
        None => return Ok(()),
    };
    let behind = &body[object.len()..];
    if let Some(more) = behind.iter().position(|byte| !byte.is_ascii_whitespace()) {
        let mut place = begin;
        place.pass(&body[..object.len() + more]);
        more_follows(place, found);
        return Ok(());
    }
    let id = definition.id_pointer();
    if id_at(object, id).is_none() {
        if let Some(list) = list_at(object, &definition.list.items) {
            let mut place = begin;
            place.pass(&object[..list.as_ptr() as usize - object.as_ptr() as usize]);
            return read_list(list, place, found);
        }
        let mut lists = Vec::new();
        find_lists(object, "", id, &mut lists);
        if !lists.is_empty() {
            let detail = format!(
                "the file is one object without an id at {id:?}, and has lists of objects with one at {}: \
                 save such a list as a file, or say in the definition of the source that `list.items` are there",
                lists.join(", ")
            );
            found.fault(begin, detail);
            return Ok(());
        }
    }
    found.element(begin, object);
    Ok(())
}

fn list_at<'j>(object: &'j [u8], pointer: &str) -> Option<&'j [u8]> {
    let value = json_pointer::at(object, pointer)?;
    value.get().starts_with('[').then(|| value.get().as_bytes())
}

/// Finds the lists in an object whose first element has an id.
fn find_lists(object: &[u8], at: &str, id: &str, lists: &mut Vec<String>) {
    let depth = at.matches('/').count();
    let Ok(members) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(object) else { return };
    for (key, value) in members {
        let at = format!("{at}/{}", json_pointer::escape(&key));
        let value = value.get().as_bytes();
        match value.first() {
            Some(b'[') if lists.len() < MAX_LISTS && id_at(value, &format!("/0{id}")).is_some() => {
                lists.push(format!("{at:?}"));
            }
            Some(b'{') if depth + 1 < MAX_LIST_DEPTH => find_lists(value, &at, id, lists),
            _ => {}
        }
    }
}
