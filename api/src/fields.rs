use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::{
    body::ReadFields,
    problem::{FieldError, Problem, ProblemType},
};

/// The fields of a JSON object, read one by one. Gathers everything that is wrong, so that a caller hears it
/// at once.
pub(crate) struct Fields {
    unread: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of `value`.
    ///
    /// # Errors
    /// When it is not an object.
    pub(crate) fn of(value: Value) -> Result<Self, Problem> {
        match value {
            Value::Object(unread) => Ok(Self { unread, known: Vec::new(), errors: Vec::new() }),
            _ => Err(Problem::new(ProblemType::MalformedBody, "the body must be a JSON object")),
        }
    }

    /// A whole number; `None` when it is not given, or wrong.
    pub(crate) fn whole_number(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.take(name)?;
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n));
        let expected = || format!("must be a whole number from {} to {}", range.start(), range.end());
        number.or_else(|| self.wrong(name, expected()))
    }

    /// A whole number of 64 bits from `min`; `None` when it is not given, or wrong.
    pub(crate) fn large_number(&mut self, name: &'static str, min: u64) -> Option<u64> {
        let value = self.take(name)?;
        let number = value.as_u64().filter(|&number| number >= min && i64::try_from(number).is_ok());
        number.or_else(|| self.wrong(name, format!("must be a whole number, {min} or more")))
    }

    /// A flag; `None` when it is not given, or wrong.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.take(name)?;
        value.as_bool().or_else(|| self.wrong(name, "must be true or false".to_owned()))
    }

    /// A name; `None` when it is not given, or wrong.
    pub(crate) fn name(&mut self, name: &'static str, max_chars: usize) -> Option<String> {
        let value = self.take(name)?;
        let is_name =
            |text: &&str| !text.is_empty() && text.chars().count() <= max_chars && !text.contains('\0');
        let text = value.as_str().filter(is_name).map(str::to_owned);
        text.or_else(|| {
            self.wrong(name, format!("must be a string of 1 to {max_chars} characters, without NUL"))
        })
    }

    /// What `read` makes of a value; `None` when it is not given, or when `read` makes nothing of it, because
    /// it is not what `expected` says.
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(name)?;
        read(&value).or_else(|| self.wrong(name, format!("must be {expected}")))
    }

    /// An object with fields of its own, whose errors are named `<name>.<field>`; none is an empty one.
    /// `None` when it is no object.
    pub(crate) fn object<T: ReadFields>(&mut self, name: &'static str) -> Option<T> {
        let value = self.take(name).unwrap_or_else(|| Value::Object(Map::new()));
        let Ok(mut inner) = Self::of(value) else {
            return self.wrong(name, "must be an object".to_owned());
        };
        let read = T::read(&mut inner);
        let outer = |error: FieldError| FieldError { field: format!("{name}.{}", error.field), ..error };
        self.errors.extend(inner.into_errors().into_iter().map(outer));
        Some(read)
    }

    /// Whether a field is given. To be asked before it is read.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.unread.contains_key(name)
    }

    /// Notes what else is wrong with a field, given or not.
    pub(crate) fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.wrong::<()>(name, detail.into());
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a field was wrong, or one was given that nobody read.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let errors = self.into_errors();
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
    }

    fn into_errors(mut self) -> Vec<FieldError> {
        for field in self.unread.keys() {
            // The caller's own text, so not more of it than tells which one is meant.
            let field = field.chars().take(64).collect();
            let detail = format!("is not a field of this request; there are {}", self.known.join(", "));
            self.errors.push(FieldError { field, detail });
            // A body may hold a hundred thousand of them.
            if self.errors.len() >= 20 {
                break;
            }
        }
        self.errors
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.unread.remove(name)
    }

    fn wrong<T>(&mut self, field: &str, detail: String) -> Option<T> {
        self.errors.push(FieldError { field: field.to_owned(), detail });
        None
    }
}
