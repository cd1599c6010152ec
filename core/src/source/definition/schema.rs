use schemars::schema_for;
use serde_json::Value;

use super::Definition;

impl Definition {
    /// The JSON Schema of a definition, draft 2020-12, for editors that complete and check YAML. What only
    /// [`check`](Self::check) knows is not in it. The committed `sources/schema.json` is this,
    /// pretty-printed.
    pub fn json_schema() -> Value {
        schema_for!(Self).to_value()
    }
}
