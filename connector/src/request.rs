use reqwest::{Method, Url};
use resume_core::source::definition::{self, ListCall, Paging, Values};
use serde_json::{Map, Value};

use crate::{CallError, home::Home};

/// What is asked.
#[derive(Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<Value>,
}

/// The question for a page: `link` is what the page before has given for it, the first page and numbered
/// pages have none.
pub(crate) fn question(
    list: &ListCall,
    home: &Home,
    link: Option<&str>,
    values: &Values,
) -> Result<Question, CallError> {
    let method = match list.method {
        definition::Method::Get => Method::GET,
        definition::Method::Post => Method::POST,
    };
    let (url, body) = match (&list.paging, link) {
        // `alone` is about the tokens that answers give: nothing else says how many items this page should
        // have.
        (Paging::Cursor { param, first: Some(first), .. }, None) => {
            with_token(list, home, values, (param, first, false))?
        }
        (_, None) => (address(list, home, values, list.render_params(values))?, list.render_body(values)),
        (Paging::NextUrl { .. } | Paging::LinkHeader { .. }, Some(link)) => {
            (home.follow(home.in_use(), link)?, list.render_body(values))
        }
        (Paging::Cursor { param, alone, .. }, Some(token)) => {
            with_token(list, home, values, (param, token, *alone))?
        }
        (Paging::Numbered { .. } | Paging::Single {}, Some(_)) => {
            return Err(CallError::InvalidRequest(
                "the page has a link, and pages of this style have none: has the definition been changed?"
                    .to_owned(),
            ));
        }
    };
    Ok(Question { method, url, body })
}

/// The address and the body of a call that carries a token: in the query, or in the body of a `post`.
fn with_token(
    list: &ListCall,
    home: &Home,
    values: &Values,
    (param, token, alone): (&str, &str, bool),
) -> Result<(Url, Option<Value>), CallError> {
    let mut params = if alone { Vec::new() } else { list.render_params(values) };
    if list.method == definition::Method::Get {
        params.retain(|(name, _)| name != param);
        params.push((param.to_owned(), token.to_owned()));
        return Ok((address(list, home, values, params)?, None));
    }
    let mut members = match list.render_body(values) {
        _ if alone => Map::new(),
        None => Map::new(),
        Some(Value::Object(members)) => members,
        Some(_) => {
            return Err(CallError::InvalidRequest(
                "the token belongs into the body, which is no object".to_owned(),
            ));
        }
    };
    members.insert(param.to_owned(), token.into());
    Ok((address(list, home, values, params)?, Some(Value::Object(members))))
}

fn address(
    list: &ListCall,
    home: &Home,
    values: &Values,
    params: Vec<(String, String)>,
) -> Result<Url, CallError> {
    let hole = || CallError::InvalidRequest(format!("a placeholder of the path {} has no value", list.path));
    let mut url = home.at(&list.render_path(values).ok_or_else(hole)?)?;
    if !params.is_empty() {
        url.query_pairs_mut().extend_pairs(params);
    }
    Ok(url)
}
