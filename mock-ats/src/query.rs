use std::ops::{Range, RangeInclusive};

const COUNT: RangeInclusive<i64> = 1..=1_000_000;
/// The largest page is what keeps one answer around a megabyte.
const PER_PAGE: RangeInclusive<i64> = 1..=1_000;
const PAGE: RangeInclusive<i64> = 1..=u32::MAX as i64;

/// The query parameters as a client gave them, nothing checked but their types. `None` is "not given".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageParams {
    /// How many people the whole collection has; 100 if not given.
    pub count: Option<i64>,
    /// How many items a page has; 10 if not given.
    pub per_page: Option<i64>,
    /// Which page, from 1; 1 if not given.
    pub page: Option<i64>,
    /// Whether about one item in five is unparsable; `false` if not given.
    pub errors: Option<bool>,
    /// Which people: another seed, other people; 0 if not given.
    pub seed: Option<u64>,
}

/// One page of one collection: checked parameters. There is no other way to get one than through the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageQuery {
    count: u32,
    per_page: u32,
    page: u32,
    errors: bool,
    seed: u64,
}

/// A query parameter that is not acceptable. Displays as a sentence that names the parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct QueryError {
    /// The parameter's name.
    pub field: &'static str,
    /// What would have been acceptable.
    pub expected: String,
}

impl PageQuery {
    /// Checks typed parameters.
    ///
    /// # Errors
    /// The first field that is out of its range: `count` 1 to 1,000,000, `per_page` 1 to 1,000, `page` from
    /// 1.
    pub fn new(params: PageParams) -> Result<Self, QueryError> {
        Ok(Self {
            count: within("count", params.count.unwrap_or(100), COUNT)?,
            per_page: within("per_page", params.per_page.unwrap_or(10), PER_PAGE)?,
            page: within("page", params.page.unwrap_or(1), PAGE)?,
            errors: params.errors.unwrap_or(false),
            seed: params.seed.unwrap_or(0),
        })
    }

    /// Checks decoded name and value pairs, as they came in a query string. Unknown names are ignored; of a
    /// name given twice the last value counts. Flags are `true`, `false`, `1` or `0` in any case (Python
    /// clients send `True`).
    ///
    /// # Errors
    /// The first field that is not of its type, else as [`PageQuery::new`].
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, QueryError>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut params = PageParams::default();
        for (name, value) in pairs {
            let value = value.as_ref();
            match name.as_ref() {
                "count" => params.count = Some(number("count", value, COUNT)?),
                "per_page" => params.per_page = Some(number("per_page", value, PER_PAGE)?),
                "page" => params.page = Some(number("page", value, PAGE)?),
                "errors" => params.errors = Some(flag("errors", value)?),
                "seed" => params.seed = Some(seed(value)?),
                _ => {}
            }
        }
        Self::new(params)
    }

    /// How many people the whole collection has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many items a full page has.
    pub fn per_page(&self) -> u32 {
        self.per_page
    }

    /// Which page, from 1. May lie past the end.
    pub fn page(&self) -> u32 {
        self.page
    }

    /// Whether about one item in five is unparsable.
    pub fn errors(&self) -> bool {
        self.errors
    }

    /// Which people.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many pages the collection has, at least 1.
    pub fn last_page(&self) -> u32 {
        self.count.div_ceil(self.per_page)
    }

    /// The same question about another page.
    ///
    /// # Errors
    /// When `page` is 0.
    pub fn with_page(self, page: u32) -> Result<Self, QueryError> {
        Ok(Self { page: within("page", page.into(), PAGE)?, ..self })
    }

    /// The indexes of this page's people, from 0, in order; empty past the end.
    pub(crate) fn indexes(&self) -> Range<u64> {
        let count = u64::from(self.count);
        let start = (u64::from(self.page) - 1) * u64::from(self.per_page);
        start.min(count)..(start + u64::from(self.per_page)).min(count)
    }

    /// The query string of `page`: all parameters, always in the same order, so that a URL identifies a page.
    pub(crate) fn to_query_string(self, page: u32) -> String {
        let Self { count, per_page, errors, seed, .. } = self;
        format!("count={count}&per_page={per_page}&page={page}&errors={errors}&seed={seed}")
    }
}

impl Default for PageQuery {
    fn default() -> Self {
        Self { count: 100, per_page: 10, page: 1, errors: false, seed: 0 }
    }
}

fn within(field: &'static str, value: i64, range: RangeInclusive<i64>) -> Result<u32, QueryError> {
    match u32::try_from(value) {
        Ok(number) if range.contains(&value) => Ok(number),
        _ => Err(out_of_range(field, &range)),
    }
}

fn number(field: &'static str, value: &str, range: RangeInclusive<i64>) -> Result<i64, QueryError> {
    value.parse().map_err(|_| out_of_range(field, &range))
}

fn out_of_range(field: &'static str, range: &RangeInclusive<i64>) -> QueryError {
    QueryError { field, expected: format!("a whole number from {} to {}", range.start(), range.end()) }
}

fn flag(field: &'static str, value: &str) -> Result<bool, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(QueryError { field, expected: String::from("true or false") }),
    }
}

fn seed(value: &str) -> Result<u64, QueryError> {
    let expected = || format!("a whole number from 0 to {}", u64::MAX);
    value.parse().map_err(|_| QueryError { field: "seed", expected: expected() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, value: &str) -> String {
        PageQuery::from_pairs([(name, value)]).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_of_the_original() {
        let query = PageQuery::from_pairs::<&str, &str>([]).unwrap();
        assert_eq!(query, PageQuery::default());
        assert_eq!(query, PageQuery::new(PageParams::default()).unwrap());
        assert_eq!(query.to_query_string(1), "count=100&per_page=10&page=1&errors=false&seed=0");
    }

    #[test]
    fn every_bad_value_names_its_field() {
        for value in ["0", "-1", "1000001", "ten", "", "1.5", "99999999999999999999"] {
            assert_eq!(message("count", value), "count must be a whole number from 1 to 1000000", "{value}");
        }
        for value in ["0", "1001", "x"] {
            assert_eq!(
                message("per_page", value),
                "per_page must be a whole number from 1 to 1000",
                "{value}"
            );
        }
        for value in ["0", "-3", "4294967296", "first"] {
            assert_eq!(message("page", value), "page must be a whole number from 1 to 4294967295", "{value}");
        }
        assert_eq!(message("errors", "perhaps"), "errors must be true or false");
        for value in ["-1", "abc", "18446744073709551616"] {
            assert_eq!(message("seed", value), "seed must be a whole number from 0 to 18446744073709551615");
        }
    }

    #[test]
    fn the_last_of_a_repeated_parameter_counts_and_unknown_ones_do_not() {
        let query = PageQuery::from_pairs([("page", "2"), ("utm", "x"), ("page", "3"), ("errors", "True")]);
        let query = query.unwrap();
        assert_eq!((query.page(), query.errors()), (3, true));
    }

    #[test]
    fn indexes_stop_at_the_end() {
        let query = PageQuery::from_pairs([("count", "25"), ("per_page", "10")]).unwrap();
        let indexes = |page| query.with_page(page).unwrap().indexes();
        assert_eq!(query.last_page(), 3);
        assert_eq!((indexes(1), indexes(3), indexes(4)), (0..10, 20..25, 25..25));
        assert!(indexes(u32::MAX).is_empty());
        assert_eq!(query.with_page(0).unwrap_err().field, "page");
    }
}
