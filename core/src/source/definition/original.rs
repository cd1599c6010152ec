use std::collections::BTreeMap;

use super::{
    Defaults, Definition, Interval, Limit, ListCall, MAX_PER_PAGE, Method, OverlappingRuns, Paging, Template,
    template::Placeholder,
};
use crate::parsing::Format;

impl Definition {
    /// A source that speaks as the external API of the original service does, which the mock speaks too:
    /// everything is a parameter, the number of items included. It may be on this machine.
    ///
    /// `base_url` is scheme and host, `path` what follows; `calls` are those that it allows in any second.
    pub fn original(name: &str, base_url: &str, path: &str, calls: u32) -> Self {
        let params = [
            ("count", Placeholder::Count),
            ("per_page", Placeholder::PerPage),
            ("page", Placeholder::Page),
            ("errors", Placeholder::ErrorMode),
            ("seed", Placeholder::Seed),
        ];
        Self {
            name: name.to_owned(),
            description: None,
            files: None,
            known: None,
            base_url: base_url.to_owned(),
            fallback_urls: Vec::new(),
            allow_private_network: true,
            auth: Vec::new(),
            headers: BTreeMap::new(),
            limits: vec![Limit { calls, per: Interval(std::time::Duration::from_secs(1)), burst: 1 }],
            refusals: Vec::new(),
            silence_max: None,
            concurrency: None,
            // Those of the original service.
            defaults: Some(Defaults { count: Some(100), per_page: Some(10) }),
            overlapping_runs: OverlappingRuns::Allow,
            parents: None,
            list: ListCall {
                method: Method::Get,
                path: path.to_owned(),
                params: params.map(|(param, value)| (param.to_owned(), Template::of(value))).into(),
                body: None,
                items: "/results".to_owned(),
                id: "/id".to_owned(),
                id_within_parent: false,
                updated_at: None,
                per_page_max: MAX_PER_PAGE,
                paging: Paging::Numbered { first: 1, total: None },
                expect: None,
                since: None,
                deleted: None,
            },
            detail: None,
            attachments: None,
            format: Format::Profile,
            map: None,
        }
    }

    /// The same with other items.
    #[must_use]
    pub fn of_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The same, read along its next links instead of by numbers.
    #[must_use]
    pub fn along_links(mut self) -> Self {
        self.list.paging = Paging::NextUrl { at: "/next".to_owned(), total: None };
        self
    }

    /// The most calls a second that its limits allow for long.
    pub fn calls_per_second(&self) -> f64 {
        let rates = self.limits.iter().map(|limit| f64::from(limit.calls) / limit.per.0.as_secs_f64());
        rates.fold(f64::INFINITY, f64::min)
    }
}
