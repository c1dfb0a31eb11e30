use super::Section;

/// The section `[server]`: what the command goes by when it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {}

impl Server {
    pub(super) fn read(&mut self, _section: &mut Section<'_>) {}
}
