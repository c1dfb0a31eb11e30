use std::io::Read;

use crate::{Error, Result};

/// The type of a form's content, unless the page asks for another one.
const FORM: &str = "application/x-www-form-urlencoded";
/// The most bytes that a form may have.
const LONGEST: u64 = 64 * 1024;

/// The fields of a form that a visitor sent, in the order of the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The value of the first field with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Iterates over the names and values of all fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads a form from the body of a request. The client controls both, so no more is read than a form may have.
    pub(super) fn read(content_type: Option<&[u8]>, body: impl Read) -> Result<Self> {
        let mut form = Vec::new();
        let cut_short = |error| Error::InvalidForm(format!("the form was not received completely: {error}"));
        body.take(LONGEST + 1).read_to_end(&mut form).map_err(cut_short)?;
        if form.len() as u64 > LONGEST {
            return Err(Error::TooLarge(format!("the form has more than {LONGEST} bytes")));
        }
        if !form.is_empty() && !content_type.is_some_and(is_form) {
            let content_type = content_type.map_or("missing".into(), String::from_utf8_lossy);
            return Err(Error::InvalidForm(format!("the content-type of a form is {FORM}; it is {content_type}")));
        }
        Ok(Self(form_urlencoded::parse(&form).into_owned().collect()))
    }
}

/// Whether a media type is that of forms, whatever its parameters are.
fn is_form(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(FORM.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn read(content_type: &str, body: &[u8]) -> Result<Form> {
        Form::read(Some(content_type.as_bytes()), body)
    }

    #[test]
    fn fields_are_decoded_and_the_first_of_a_name_counts() {
        let form = read(FORM, b"name=Ada+L.&note=a%26b%C3%BC&name=Eve&empty=&bare&bad=%ff%").unwrap();
        assert_eq!((form.get("name"), form.get("note")), (Some("Ada L."), Some("a&bü")));
        assert_eq!((form.get("empty"), form.get("bare"), form.get("none")), (Some(""), Some(""), None));
        assert_eq!(form.get("bad"), Some("\u{fffd}%"));
        assert_eq!(form.iter().filter(|(name, _)| *name == "name").count(), 2);
    }

    #[test]
    fn a_form_may_be_as_long_as_the_limit() {
        let body = vec![b'x'; 64 * 1024 + 1];
        assert!(read(FORM, &body[1..]).is_ok());
        assert_eq!(read(FORM, &body), Err(Error::TooLarge("the form has more than 65536 bytes".to_owned())));
        assert_eq!(Form::read(Some(FORM.as_bytes()), io::repeat(b'x')).unwrap_err().status(), 413);
    }

    #[test]
    fn a_body_that_is_no_form_is_refused() {
        for content_type in ["APPLICATION/x-www-form-urlencoded", "application/x-www-form-urlencoded ; charset=utf-8"] {
            assert_eq!(read(content_type, b"a=b").unwrap().get("a"), Some("b"));
        }
        for other in ["multipart/form-data; boundary=x", "application/json", "", "\u{0}"] {
            let error = read(other, b"a=b").unwrap_err();
            assert!(error.to_string().ends_with(&format!("{FORM}; it is {other}")) && error.status() == 400, "{error}");
        }
        assert!(Form::read(None, &b"a=b"[..]).unwrap_err().to_string().ends_with("it is missing"));
        assert_eq!(Form::read(None, &b""[..]), Ok(Form::default()), "a request without a body");
    }

    #[test]
    fn a_form_whose_end_is_missing_is_refused() {
        struct Broken;

        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("connection reset"))
            }
        }

        let error = Form::read(Some(FORM.as_bytes()), b"a=b&".chain(Broken)).unwrap_err();
        assert_eq!(error.to_string(), "invalid form: the form was not received completely: connection reset");
    }
}
