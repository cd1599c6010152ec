//! What a definition must hold beyond its shape.

mod address;
mod fault;
mod headers;
mod limits;
mod list;
mod steps;

use resume_queue::is_name;

use self::fault::FaultList;
pub use self::fault::{Fault, Faults};
use super::{
    Definition,
    bounds::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES},
};
use crate::parsing::{CompiledMapping, Format};

impl Definition {
    /// Finds all faults at once, in the order of the fields. Touches neither files nor the network: whether a
    /// secret is where it should be, and whether the system answers, only a call shows.
    ///
    /// # Errors
    /// The faults, each with its place and what would be right there. None repeats what stands where a
    /// secret's place should stand, or in an address.
    pub fn check(&self) -> Result<(), Faults> {
        let mut faults = FaultList::default();
        self.check_texts(&mut faults);
        match &self.files {
            Some(files) => steps::check_files(self, files, &mut faults),
            None => {
                address::check(self, &mut faults);
                headers::check(self, &mut faults);
                limits::check(self, &mut faults);
                steps::check(self, &mut faults);
            }
        }
        limits::check_defaults(self, &mut faults);
        self.check_mapping(&mut faults);
        self.check_for_nul(&mut faults);
        faults.into_result()
    }

    /// Postgres has no NUL in its texts. Most fields that hold one have a fault by then.
    fn check_for_nul(&self, faults: &mut FaultList) {
        // What is left of a definition that is no JSON has no text in it.
        let value = serde_json::to_value(self).unwrap_or_default();
        for (field, value) in value.as_object().into_iter().flatten() {
            // Behind a backslash that stands for itself `u0000` is but a text.
            let has_nul = value.to_string().replace(r"\\", "").contains(r"\u0000");
            if has_nul && !faults.has_in(field) {
                faults.add(format!("/{field}"), "holds a NUL character (\\u0000): leave it out");
            }
        }
    }

    fn check_texts(&self, faults: &mut FaultList) {
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ['-', '_', '.'].contains(&c);
        let name = &self.name;
        if !is_name(name) || name.len() > MAX_NAME_BYTES || !name.chars().all(is_allowed) {
            faults.add(
                "/name",
                format!(
                    "write 1 to {MAX_NAME_BYTES} lower-case letters, digits, `-`, `_` and `.`, not dots alone"
                ),
            );
        }
        if let Some(description) = &self.description {
            faults.check_length("/description", description.len(), MAX_DESCRIPTION_BYTES, "bytes");
        }
    }

    fn check_mapping(&self, faults: &mut FaultList) {
        match (self.format, &self.map) {
            (Format::Mapped, None) => {
                faults.add(
                    "/map",
                    "missing: format `mapped` needs it, to say where the fields of a resume are",
                );
            }
            (Format::Mapped, Some(map)) => {
                if map.expressions().next().is_none() {
                    faults.add("/map", "holds no expression: write one for a field of the resume at least");
                }
                for bad in CompiledMapping::new(map).err().into_iter().flatten() {
                    faults.add(format!("/map/{}", bad.field), bad.detail);
                }
            }
            (format, Some(_)) => {
                faults.add("/map", format!("goes with format `mapped`, not with `{format}`: leave it out"));
            }
            (_, None) => {}
        }
        if self.format != Format::Mapped && self.id_pointer() != "/id" {
            let detail =
                format!("goes with format `mapped`: items of `{}` have their id in /id", self.format);
            faults.add(if self.is_of_files() { "/files/id" } else { "/list/id" }, detail);
        }
    }
}
