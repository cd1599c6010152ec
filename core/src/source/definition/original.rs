use super::{
    Defaults, Definition, Interval, Limit, ListCall, MAX_PER_PAGE, Paging, Template, template::Placeholder,
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
            base_url: base_url.to_owned(),
            allow_private_network: true,
            limits: vec![Limit { calls, per: Interval(std::time::Duration::from_secs(1)), burst: 1 }],
            // Those of the original service.
            defaults: Some(Defaults { count: Some(100), per_page: Some(10) }),
            list: ListCall {
                path: path.to_owned(),
                params: params.map(|(param, value)| (param.to_owned(), Template::of(value))).into(),
                items: "/results".to_owned(),
                per_page_max: MAX_PER_PAGE,
                paging: Paging::Numbered { first: 1, total: None },
                ..ListCall::default()
            },
            format: Format::Profile,
            ..Self::default()
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
