//! Finds places in a JSON text without parsing what stands around them or changing what stands there.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// A JSON Pointer, RFC 6901: the keys and positions that lead to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer; `None` when it neither is empty nor begins with a slash.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let tokens = text.strip_prefix('/')?.split('/');
        Some(Self(tokens.map(unescape).collect()))
    }
}

/// A key as a step of a pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The key that a step of a pointer stands for.
pub(crate) fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// Returns the texts at some places in a JSON text, in the order of the pointers; `None` where there is
/// nothing. Of two equal keys in one object the last one counts. Reads the text once, and what is inside of a
/// place once more.
///
/// # Errors
/// Fails if the text is not JSON.
pub fn find<'j>(
    json: &'j [u8],
    pointers: &[Pointer],
) -> Result<Vec<Option<&'j RawValue>>, serde_json::Error> {
    let mut found = vec![None; pointers.len()];
    let wanted = pointers.iter().enumerate().map(|(index, pointer)| (index, pointer.0.as_slice())).collect();
    walk(json, wanted, &mut found)?;
    Ok(found)
}

/// Returns the text at one place in a JSON text, as [`find`] does; `None` also where that is no JSON, or the
/// pointer none.
pub fn at<'j>(json: &'j [u8], pointer: &str) -> Option<&'j RawValue> {
    find(json, &[Pointer::parse(pointer)?]).ok()?.into_iter().next()?
}

/// The pointers that lead on from a value, by their number, with what is left of them.
type Wanted<'p> = Vec<(usize, &'p [String])>;

fn walk<'j>(
    json: &'j [u8],
    wanted: Wanted<'_>,
    found: &mut [Option<&'j RawValue>],
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Node { wanted, found }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// One value on the way. The recursion is as deep as the longest pointer.
struct Node<'f, 'p, 'j> {
    wanted: Wanted<'p>,
    found: &'f mut [Option<&'j RawValue>],
}

impl<'p, 'j> Node<'_, 'p, 'j> {
    /// Those of the pointers that lead through a member.
    fn through(&self, is_it: impl Fn(&str) -> bool) -> Wanted<'p> {
        let step = |(index, rest): &(usize, &'p [String])| {
            let (token, behind) = rest.split_first()?;
            is_it(token).then_some((*index, behind))
        };
        self.wanted.iter().filter_map(step).collect()
    }
}

impl<'j> DeserializeSeed<'j> for Node<'_, '_, 'j> {
    type Value = ();

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<(), D::Error> {
        let (here, deeper): (Wanted<'_>, Wanted<'_>) =
            self.wanted.iter().partition(|(_, rest)| rest.is_empty());
        if here.is_empty() {
            return deserializer.deserialize_any(self);
        }
        let value = <&RawValue as serde::Deserialize>::deserialize(deserializer)?;
        for (index, _) in here {
            self.found[index] = Some(value);
        }
        if deeper.is_empty() {
            return Ok(());
        }
        walk(value.get().as_bytes(), deeper, self.found).map_err(D::Error::custom)
    }
}

impl<'j> Visitor<'j> for Node<'_, '_, 'j> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let wanted = self.through(|token| token == key);
            if wanted.is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            for (index, _) in &wanted {
                self.found[*index] = None;
            }
            map.next_value_seed(Node { wanted, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<(), A::Error> {
        for position in 0.. {
            let wanted = self.through(|token| index(token) == Some(position));
            let is_there = if wanted.is_empty() {
                seq.next_element::<IgnoredAny>()?.is_some()
            } else {
                seq.next_element_seed(Node { wanted, found: &mut *self.found })?.is_some()
            };
            if !is_there {
                break;
            }
        }
        Ok(())
    }

    // What has no members leads nowhere.

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// A key of an object, in which half of a surrogate pair is U+FFFD: it must not hide the members beside it.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Key, E> {
        Ok(Key(String::from_utf8_lossy(key).into_owned()))
    }
}

/// A position in an array: digits without a leading zero, RFC 6901, section 4.
fn index(token: &str) -> Option<usize> {
    let is_canonical =
        token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    is_canonical.then(|| token.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'j>(json: &'j str, pointers: &[&str]) -> Vec<Option<&'j str>> {
        let pointers: Vec<Pointer> = pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
        let found = find(json.as_bytes(), &pointers).unwrap();
        found.into_iter().map(|value| value.map(RawValue::get)).collect()
    }

    #[test]
    fn what_is_found_is_verbatim() {
        let json = r#" {"data": [ {"id" : 1.0e0} , 7 ],
            "paging":{"next":"a\u0062","deep":{"x":[10,20]}}, "more":{}} "#;
        assert_eq!(
            texts(
                json,
                &["/data", "/paging/next", "/paging/deep/x/1", "/data/0/id", "", "/nothing", "/data/2"]
            ),
            [
                Some(r#"[ {"id" : 1.0e0} , 7 ]"#),
                Some(r#""a\u0062""#),
                Some("20"),
                Some("1.0e0"),
                Some(json.trim()),
                None,
                None
            ]
        );
    }

    #[test]
    fn the_pointers_of_the_rfc() {
        let json = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3," ":7,"m~n":8,"~1":9}"#;
        assert_eq!(
            texts(json, &["/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/ ", "/m~0n", "/~01"]),
            [r#""bar""#, "0", "1", "2", "3", "7", "8", "9"].map(Some)
        );
        assert_eq!(texts(json, &["/foo/00", "/foo/-", "/foo/+1", "/foo/", "/foo/0/x"]), [None; 5]);
        assert_eq!(Pointer::parse("data"), None);
    }

    #[test]
    fn of_two_equal_keys_the_last_one_counts() {
        assert_eq!(texts(r#"{"a":{"b":1},"a":{"c":2}}"#, &["/a/b", "/a/c"]), [None, Some("2")]);
        assert_eq!(texts(r#"{"a":{"b":1},"\u0061":null}"#, &["/a/b", "/a"]), [None, Some("null")]);
    }

    #[test]
    fn half_a_pair_or_an_endless_number_hides_nothing_beside_it() {
        let json = r#"{"\ud83d":"\udc00","n":1e400,"a\ud83d":{"b":[{"c":1}]},"d":2}"#;
        assert_eq!(
            texts(json, &["/d", "/n", "/a\u{fffd}\u{fffd}\u{fffd}/b/0/c"]),
            [Some("2"), Some("1e400"), Some("1")]
        );
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let pointers = [Pointer::parse("/a").unwrap(), Pointer::parse("/a/b").unwrap()];
        for json in
            ["", " ", "{", "<html>", r#"{"a":1"#, r#"{"a":[}"#, r#"{"a":1} x"#, "{\"a\":\"\x01\"}", "nul"]
        {
            let error = find(json.as_bytes(), &pointers).unwrap_err();
            assert!(!error.is_data(), "{json}: {error}");
        }
        assert!(find(b"{\"a\":\"\xff\"}", &pointers).is_err());
        assert_eq!(texts("3", &["/a", ""]), [None, Some("3")]);
    }

    #[test]
    fn deep_values_are_stepped_over() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let json = format!(r#"{{"deep":{deep},"a":{deep},"b":1}}"#);
        assert_eq!(texts(&json, &["/a", "/b"]), [Some(deep.as_str()), Some("1")]);
        // Where the pointer leads into it, its length is the depth.
        let pointer = "/0".repeat(100);
        assert_eq!(texts(&deep, &[&pointer])[0].map(str::len), Some(2 * (1_000_000 - 100)));
    }
}
