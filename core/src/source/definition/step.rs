use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, ListCall, Method, Paging, Placeholder, Template, list};

/// What a call to a source is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "call_step", rename_all = "snake_case")]
pub enum Step {
    /// A page of the list of parents.
    Parents,
    /// A page of the list of items, or of the list of one parent's items.
    List,
    /// One item in full.
    Detail,
    /// A file that belongs to an item.
    Attachment,
    /// A page of the deletions feed.
    Deleted,
    /// A look through resumes that are there for people to ask for. It takes no call.
    Known,
}

/// The files that belong to an item, such as resumes as PDF. They are fetched while the run is under way, for
/// their addresses expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachments {
    /// Where they are in an item: a `JMESPath` expression that finds a list of objects with `url` and `name`,
    /// or one.
    pub at: String,
    /// The hosts that they may be fetched from, beside those of the base URL and its fallbacks. Nothing that
    /// proves who we are is sent there. A `*` stands for anything within one label, as in
    /// `*.s3.*.amazonaws.com`; a first label `*` for one or more labels. The last two labels are names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

impl Attachments {
    /// Whether they may be fetched from this host, as the URL Standard writes hosts. The global name of a
    /// bucket stands for its regional ones, too.
    pub fn allow(&self, host: &str) -> bool {
        let global = global_bucket(host);
        let is_like = |pattern: &String| {
            is_host_like(host, pattern)
                || global.as_deref().is_some_and(|global| is_host_like(global, pattern))
        };
        self.hosts.iter().any(is_like)
    }
}

/// The global host of a bucket whose host names its region, such as `files.s3.eu-central-1.amazonaws.com`,
/// `files.s3-us-west-2.amazonaws.com` or `files.s3.dualstack.eu-west-1.amazonaws.com`:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>.
fn global_bucket(host: &str) -> Option<String> {
    let labels: Vec<&str> = host.strip_suffix(".amazonaws.com")?.split('.').collect();
    let at = labels.iter().rposition(|label| *label == "s3" || label.starts_with("s3-"))?;
    let (bucket, region) = (&labels[..at], &labels[at + 1..]);
    let is_region = match region {
        [] => labels[at] != "s3",
        [_] | ["dualstack", _] => true,
        _ => false,
    };
    (is_region && !bucket.is_empty()).then(|| format!("{}.s3.amazonaws.com", bucket.join(".")))
}

/// Whether a host is one that the pattern stands for. Compares from the end, where the first label of the
/// pattern may be `*`, which takes all that is left.
fn is_host_like(host: &str, pattern: &str) -> bool {
    let mut labels = host.rsplit('.');
    let mut patterns = pattern.rsplit('.').peekable();
    while let Some(pattern) = patterns.next() {
        match labels.next() {
            Some("") | None => return false,
            Some(_) if pattern == "*" && patterns.peek().is_none() => return true,
            Some(label) if is_label_like(label, pattern) => {}
            Some(_) => return false,
        }
    }
    labels.next().is_none()
}

fn is_label_like(label: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((begin, end)) => {
            label.len() > begin.len() + end.len() && label.starts_with(begin) && label.ends_with(end)
        }
        None => label == pattern,
    }
}

/// A call that lists ids, page by page: those of the parents that have a list of items each, or of those who
/// were deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdsCall {
    /// The path behind the base URL.
    pub path: String,
    /// The parameters of the query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Template>,
    /// Where the list is in the answer, as a JSON Pointer (RFC 6901); `""` when the answer is the list.
    pub items: String,
    /// Where the id is in an element of it, as a JSON Pointer; `/id` by default.
    #[serde(default = "list::id_pointer")]
    pub id: String,
    /// How many are on a page, which `{per_page}` stands for; 100 by default.
    #[serde(default = "list::per_page_max")]
    pub per_page_max: u32,
    /// How one page leads to the next. They are read one after the other.
    pub paging: Paging,
}

/// The call that gives one item in full. `{id}` stands for the id that the list gives, `{parent}` for its
/// parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailCall {
    /// The path behind the base URL, such as `/candidates/{id}`.
    pub path: String,
    /// The parameters of the query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Template>,
    /// Where the item is in the answer, as a JSON Pointer; `""`, the default, when the answer is the item.
    #[serde(default)]
    pub item: String,
    /// Whether the item is a list, such as all that one person has made. By default it is an object.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub array: bool,
}

impl Definition {
    /// The call of a step, as a list: a detail call lists its one item, which is at [`ListCall::items`]
    /// itself. `None` for a step that the source has not, for an attachment, whose address an item tells, and
    /// for what takes no call. What `list` expects of an answer, all of them must hold.
    pub fn call_of(&self, step: Step) -> Option<ListCall> {
        let call = |path: &str, params: &BTreeMap<String, Template>, items: &str| ListCall {
            method: Method::Get,
            path: path.to_owned(),
            params: params.clone(),
            body: None,
            items: items.to_owned(),
            id: list::id_pointer(),
            id_within_parent: false,
            updated_at: None,
            per_page_max: 1,
            paging: Paging::Single {},
            expect: self.list.expect.clone(),
            since: None,
            deleted: None,
        };
        let ids = |IdsCall { path, params, items, id, per_page_max, paging }: &IdsCall| ListCall {
            id: id.clone(),
            per_page_max: *per_page_max,
            paging: paging.clone(),
            ..call(path, params, items)
        };
        Some(match step {
            Step::Parents => ids(self.parents.as_ref()?),
            Step::Deleted => ids(self.list.deleted.as_ref()?.feed.as_ref()?),
            Step::List if self.known.is_some() => return None,
            Step::List => self.list.clone(),
            Step::Detail => {
                let DetailCall { path, params, item, array: _ } = self.detail.as_ref()?;
                // What it gives is the item in full, so all that the list says of items holds for it.
                ListCall {
                    id_within_parent: self.list.id_within_parent,
                    updated_at: self.list.updated_at.clone(),
                    deleted: self.list.deleted.clone(),
                    ..call(path, params, item)
                }
            }
            Step::Attachment | Step::Known => return None,
        })
    }

    /// Whether the call for an item in full names the parent that it is listed under.
    pub fn detail_names_parent(&self) -> bool {
        self.detail.as_ref().is_some_and(|detail| {
            let path = detail.path.parse::<Template>();
            path.is_ok_and(|path| path.has(Placeholder::Parent))
                || detail.params.values().any(|template| template.has(Placeholder::Parent))
        })
    }

    /// The step whose items are kept.
    pub fn last_step(&self) -> Step {
        if self.detail.is_some() { Step::Detail } else { Step::List }
    }

    /// The step that a collection begins with.
    pub fn first_step(&self) -> Step {
        match (&self.known, &self.parents) {
            (Some(_), _) => Step::Known,
            (None, Some(_)) => Step::Parents,
            (None, None) => Step::List,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_global_name_of_a_bucket_stands_for_its_regions() {
        let attachments = Attachments { at: "a".to_owned(), hosts: vec!["*.s3.amazonaws.com".to_owned()] };
        for host in [
            "files.s3.amazonaws.com",
            "files.s3.us-west-2.amazonaws.com",
            "files.s3-us-west-2.amazonaws.com",
            "files.s3.dualstack.eu-west-1.amazonaws.com",
            "my.files.s3.eu-central-1.amazonaws.com",
        ] {
            assert!(attachments.allow(host), "{host}");
        }
        for host in [
            "s3.us-west-2.amazonaws.com",
            "files.ec2.amazonaws.com",
            "files.s3.a.b.amazonaws.com",
            "files.s3.evil.com",
        ] {
            assert!(!attachments.allow(host), "{host}");
        }
    }
}
