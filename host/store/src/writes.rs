use std::ops::Deref;

use super::Write;

/// Variables to be written, sorted by application and name, each of them once.
///
/// The conversions are the only way to make one: they sort, and of several writes of one variable they keep the last. A driver
/// need not look for either.
///
/// ```
/// use lemon_session_store::{Write, Writes};
///
/// let write = |name: &str, value: &[u8]| Write { app: "shop".into(), name: name.into(), value: Some(value.into()) };
/// let writes = Writes::from([write("b", b"1"), write("a", b"2"), write("b", b"3")]);
/// assert_eq!(*writes, [write("a", b"2"), write("b", b"3")]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes(Vec<Write>);

impl Writes {
    /// The bytes of the names and values that are written: the size of a session that has these variables alone.
    pub fn size(&self) -> u64 {
        let sizes = self.iter().map(|write| write.value.as_ref().map_or(0, |value| write.name.len() + value.len()));
        sizes.sum::<usize>() as u64
    }
}

impl From<Vec<Write>> for Writes {
    fn from(mut writes: Vec<Write>) -> Self {
        // Stable: writes of one variable stay in their order.
        writes.sort_by(|a, b| (&a.app, &a.name).cmp(&(&b.app, &b.name)));
        writes.dedup_by(|later, earlier| {
            let is_same = (&later.app, &later.name) == (&earlier.app, &earlier.name);
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        Self(writes)
    }
}

impl<const N: usize> From<[Write; N]> for Writes {
    fn from(writes: [Write; N]) -> Self {
        Vec::from(writes).into()
    }
}

impl FromIterator<Write> for Writes {
    fn from_iter<T: IntoIterator<Item = Write>>(writes: T) -> Self {
        Vec::from_iter(writes).into()
    }
}

impl Deref for Writes {
    type Target = [Write];

    fn deref(&self) -> &[Write] {
        &self.0
    }
}

impl IntoIterator for Writes {
    type Item = Write;
    type IntoIter = std::vec::IntoIter<Write>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Writes {
    type Item = &'a Write;
    type IntoIter = std::slice::Iter<'a, Write>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(app: &str, name: &str, value: Option<&str>) -> Write {
        Write { app: app.to_owned(), name: name.to_owned(), value: value.map(|value| value.into()) }
    }

    #[test]
    fn last_write_of_a_variable_wins() {
        let writes = Writes::from([
            write("shop", "x", Some("first")),
            write("shop", "y", None),
            write("other", "x", Some("other")),
            write("shop", "gone", Some("2")),
            write("shop", "x", Some("second")),
            write("shop", "y", Some("yes")),
            write("shop", "gone", None),
            write("shop", "x", Some("last")),
        ]);
        let expected = [
            write("other", "x", Some("other")),
            write("shop", "gone", None),
            write("shop", "x", Some("last")),
            write("shop", "y", Some("yes")),
        ];
        assert_eq!(*writes, expected);
    }

    #[test]
    fn writes_are_sorted_by_the_bytes_of_application_and_name() {
        let expected = [("a", "é"), ("aa", ""), ("b", "a"), ("b", "aa"), ("b", "b"), ("é", "A"), ("é", "a")];
        let expected = expected.map(|(app, name)| write(app, name, Some("1")));
        let reversed: Writes = expected.iter().rev().cloned().collect();
        assert_eq!(*reversed, expected);
    }

    #[test]
    fn size_is_that_of_names_and_values_that_are_put() {
        let writes =
            Writes::from([write("app", "é", Some("123")), write("app", "removed", None), write("b", "", Some(""))]);
        assert_eq!(writes.size(), 5);
        assert_eq!(Writes::default().size(), 0);
    }
}
