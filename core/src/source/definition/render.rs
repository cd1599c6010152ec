use serde_json::Value;

use super::{ListCall, Template, Values};

impl ListCall {
    /// The path for one page, with its values written as a path must have them. Expects a
    /// [checked](super::Definition::check) definition, and the values that its placeholders stand for:
    /// without them it is `None`, for a path with a hole in it leads somewhere else.
    pub fn render_path(&self, values: &Values) -> Option<String> {
        match self.path.parse::<Template>() {
            Ok(template) => template.render_path(values),
            Err(_) => Some(self.path.clone()),
        }
    }

    /// The parameters of the query for one page, by name, in the order of the names. One whose placeholder
    /// has no value is left out. They are not encoded for a URL.
    pub fn render_params(&self, values: &Values) -> Vec<(String, String)> {
        let rendered =
            self.params.iter().map(|(name, template)| Some((name.clone(), template.render(values)?)));
        rendered.flatten().collect()
    }

    /// The body for one page; `None` when there is none.
    ///
    /// A text that is one placeholder alone becomes a number or a boolean where the value is one. A member or
    /// an element whose placeholder has no value is left out. Expects a [checked](super::Definition::check)
    /// definition: a text that is no template stays as it is.
    pub fn render_body(&self, values: &Values) -> Option<Value> {
        render(self.body.as_ref()?, values)
    }
}

fn render(value: &Value, values: &Values) -> Option<Value> {
    Some(match value {
        Value::String(text) => match text.parse::<Template>() {
            Ok(template) => template.render_json(values)?,
            Err(_) => value.clone(),
        },
        Value::Array(elements) => {
            Value::Array(elements.iter().filter_map(|element| render(element, values)).collect())
        }
        Value::Object(members) => {
            let rendered = members.iter().map(|(name, member)| Some((name.clone(), render(member, values)?)));
            Value::Object(rendered.flatten().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}
