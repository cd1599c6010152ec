//! JSON pointers (RFC 6901) that cost nothing until somebody looks at them.

use super::json_pointer;

/// The longest pointer that is handed out.
///
/// The pointers this crate makes of known fields stay below 100 bytes. Only an unknown key can be longer, and
/// a warning must not carry megabytes of it: the pointer then names the deepest part above that fits.
const MAX_POINTER_BYTES: usize = 512;

/// A place in a document, as a chain of borrowed steps; [`Pointer::render`] makes the text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pointer<'a> {
    /// The whole document.
    Root,
    /// A member of an object.
    Key(&'a Pointer<'a>, &'a str),
    /// An element of an array.
    Index(&'a Pointer<'a>, usize),
}

impl<'a> Pointer<'a> {
    /// The member `key` of the object at this place.
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Pointer::Key(self, key)
    }

    /// The element `index` of the array at this place.
    pub(super) fn index(&'a self, index: usize) -> Self {
        Pointer::Index(self, index)
    }

    /// The pointer as RFC 6901 text, at most [`MAX_POINTER_BYTES`] long.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        self.append_to(&mut text);
        text
    }

    /// Appends the steps from the root down to here; stops and gives false at the first that does not fit.
    fn append_to(&self, text: &mut String) -> bool {
        let (parent, step) = match self {
            Pointer::Root => return true,
            // Looked at before it is escaped, so that a huge key is never copied.
            Pointer::Key(parent, key) if key.len() > MAX_POINTER_BYTES => {
                parent.append_to(text);
                return false;
            }
            Pointer::Key(parent, key) => (parent, json_pointer::escape(key)),
            Pointer::Index(parent, index) => (parent, index.to_string()),
        };
        if !parent.append_to(text) || text.len() + 1 + step.len() > MAX_POINTER_BYTES {
            return false;
        }
        text.push('/');
        text.push_str(&step);
        true
    }
}
