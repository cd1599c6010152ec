use crate::output;

pub(crate) fn run() {
    output::print(format_args!("{}", resume_api::spec_yaml()));
}
