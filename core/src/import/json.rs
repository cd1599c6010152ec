use super::{
    fault::Place,
    ndjson::trim,
    reader::{Found, MAX_ITEM_BYTES},
};

/// Cuts a list into its elements without parsing them. Whether they are what they should be is looked at when they are whole.
#[derive(Debug)]
pub(super) struct Json {
    state: State,
    /// Where the next byte stands.
    here: Place,
    item: Vec<u8>,
    /// Where the item begins.
    begin: Place,
    /// How many brackets are open in the item.
    depth: usize,
    in_text: bool,
    is_escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far.
    Start,
    /// In the list: in an item, or before the first one.
    List,
    /// In the list, behind a comma and before the next item.
    Next,
    /// In the one object that the file is.
    Object,
    /// Behind the list or the object.
    End,
}

impl Default for Json {
    fn default() -> Self {
        let here = Place::START;
        Self {
            state: State::Start,
            here,
            item: Vec::new(),
            begin: here,
            depth: 0,
            in_text: false,
            is_escaped: false,
        }
    }
}

impl Json {
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut Found<'_>) {
        for &byte in bytes {
            self.take(byte, found);
            if found.is_lost() {
                return;
            }
            self.here.step(byte);
        }
    }

    pub(super) fn finish(&mut self, found: &mut Found<'_>) {
        match self.state {
            State::Start | State::End => {}
            State::Object => found.fault(self.here, "the file ends in the middle of an object"),
            State::List | State::Next => {
                found.fault(self.here, "the file ends in the middle of its list: `]` is missing");
            }
        }
    }

    fn take(&mut self, byte: u8, found: &mut Found<'_>) {
        match (self.state, byte) {
            (State::Start, b'[') => self.state = State::List,
            (State::Start, b'{') => {
                self.state = State::Object;
                self.keep(byte);
            }
            (State::Start | State::End | State::Next, b' ' | b'\t' | b'\r' | b'\n') => {}
            (State::Start, _) => {
                found.lose(self.here, "a file of JSON begins with `[`, a list of objects, or with `{`, one object");
            }
            (State::End, _) => found.lose(
                self.here,
                "more follows behind the end of the JSON; objects one after the other, each on a line, are NDJSON \
                 (application/x-ndjson)",
            ),
            (State::List | State::Next, b',' | b']') if self.depth == 0 && !self.in_text => {
                self.end_element(byte, found);
            }
            (State::Next, _) => {
                self.state = State::List;
                self.keep(byte);
            }
            (State::List | State::Object, _) => {
                self.keep(byte);
                if self.state == State::Object && self.depth == 0 {
                    self.emit(found);
                    self.state = State::End;
                }
            }
        }
    }

    /// Takes a byte of an item.
    fn keep(&mut self, byte: u8) {
        if self.item.is_empty() {
            self.begin = self.here;
        }
        if self.item.len() <= MAX_ITEM_BYTES {
            self.item.push(byte);
        }
        if self.in_text {
            let ends = byte == b'"' && !self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            self.in_text = !ends;
            return;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            // White space before an item is none of it.
            b' ' | b'\t' | b'\r' | b'\n' if self.item.len() == 1 => self.item.clear(),
            _ => {}
        }
    }

    /// Ends an element of the list, at its comma or at the end of the list.
    fn end_element(&mut self, byte: u8, found: &mut Found<'_>) {
        let is_there = !self.item.is_empty();
        // Only the list without elements ends with no element before it.
        if !is_there && (byte == b',' || self.state == State::Next) {
            found.fault(self.here, "an item is missing here: a comma stands between two of them");
        }
        if is_there {
            self.emit(found);
        }
        self.state = if byte == b',' { State::Next } else { State::End };
    }

    fn emit(&mut self, found: &mut Found<'_>) {
        if self.item.len() > MAX_ITEM_BYTES {
            found.too_long(self.begin);
        } else {
            found.item(self.begin, trim(&self.item).1);
        }
        self.item.clear();
    }
}
