//! Every order in which several actors can take their turns.

/// One order: the turns that were chosen, and of how many each.
#[derive(Debug, Default)]
pub struct Order {
    /// The choices that lead to this order; those after them are the first of each.
    prefix: Vec<usize>,
    chosen: Vec<(usize, usize)>,
}

impl Order {
    /// Chooses one of so many that could go on now.
    pub fn choose(&mut self, of: usize) -> usize {
        let choice = self.prefix.get(self.chosen.len()).copied().unwrap_or(0);
        self.chosen.push((choice, of));
        choice
    }

    /// The order after this one, whose choices were all made. `None` after the last.
    pub fn following(mut self) -> Option<Self> {
        while let Some((choice, of)) = self.chosen.pop() {
            if choice + 1 < of {
                let prefix = self.chosen.iter().map(|(choice, _)| *choice).chain([choice + 1]).collect();
                return Some(Self { prefix, chosen: Vec::new() });
            }
        }
        None
    }
}
