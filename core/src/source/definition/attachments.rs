use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::MAX_HOSTS;

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
    #[schemars(length(max = MAX_HOSTS))]
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
