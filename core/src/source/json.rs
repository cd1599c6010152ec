use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef},
    types,
};

use super::definition::{Definition, decode_stored};

/// A definition, or a part of one, in the database. During a rolling update a newer process may have written
/// it. What this one does not know is ignored there; where it cannot do without, reading fails with a
/// [`NewerDefinition`].
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl From<Json<Self>> for Definition {
    fn from(json: Json<Self>) -> Self {
        json.0
    }
}

/// A definition has a value that this version does not know, such as a style of paging that was added later.
/// A newer process can work with it.
#[derive(Debug, thiserror::Error)]
#[error("the definition of the source is of a newer version: {0}")]
pub struct NewerDefinition(serde_json::Error);

/// Whether a query failed because a definition is of a newer version: leave the work to a newer process.
pub fn is_of_newer_version(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::ColumnDecode { source, .. } if source.is::<NewerDefinition>())
}

impl<T> Type<Postgres> for Json<T> {
    fn type_info() -> PgTypeInfo {
        <types::Json<Value> as Type<Postgres>>::type_info()
    }

    fn compatible(column: &PgTypeInfo) -> bool {
        <types::Json<Value> as Type<Postgres>>::compatible(column)
    }
}

impl<T: Serialize> Encode<'_, Postgres> for Json<T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        types::Json(&self.0).encode_by_ref(buffer)
    }
}

impl<'r, T: DeserializeOwned> Decode<'r, Postgres> for Json<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let types::Json(value) = types::Json::<Value>::decode(value)?;
        Ok(Self(decode_stored(value).map_err(NewerDefinition)?))
    }
}
