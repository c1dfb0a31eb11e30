//! The settings of the guard in its environment.

use std::collections::BTreeMap;

use lemon_session_rules::settings::Keys;

/// What the name of every variable begins with. A provider in the same component refuses names of its own prefix,
/// `LEMON_SESSION_`, that it does not know.
pub const PREFIX: &str = "LEMON_GUARD_";

/// How alike two names have to be, from 0 to 1, for one to be meant by the other.
const ALIKE: f64 = 0.8;

/// The variables that are being read. One that is never read is a mistake.
pub struct Environment {
    variables: BTreeMap<String, String>,
    known: Vec<String>,
    mistakes: Vec<String>,
}

impl Environment {
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        Self { variables, known: Vec::new(), mistakes: Vec::new() }
    }

    pub fn mistake(&mut self, key: &str, message: &str) {
        self.mistakes.push(format!("{}: {message}", variable(key)));
    }

    /// All mistakes, also the variables that were not read.
    pub fn into_mistakes(mut self) -> Vec<String> {
        for name in self.variables.keys() {
            let alike = |known: &&String| strsim::jaro_winkler(&name[PREFIX.len()..], &known[PREFIX.len()..]);
            let closest = self.known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
            let meant = match closest.filter(|known| alike(known) > ALIKE) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("the settings are {}", self.known.join(", ")),
            };
            self.mistakes.push(format!("{name}: there is no such setting; {meant}"));
        }
        self.mistakes
    }
}

impl Keys for Environment {
    fn read<T>(&mut self, key: &'static str, target: &mut T, parse: impl FnOnce(&str) -> Result<T, String>) {
        let name = variable(key);
        let value = self.variables.remove(&name);
        self.known.push(name);
        match value.map(|value| parse(&value)) {
            None => {}
            Some(Ok(value)) => *target = value,
            Some(Err(message)) => self.mistake(key, &message),
        }
    }
}

/// The name of the variable for a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('-', "_"))
}
