//! The URL and the options of a store in files.

use std::path::PathBuf;

use lemon_session_store::{Error, Result, StorageOptions};

const FORM: &str = "a storage URL of files is files:DIR or files:DIR?fsync=on, without // before the directory";

/// Where the files are, and how they are written.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// The directory with the tables.
    pub directory: PathBuf,
    /// Whether an answered save survives a power failure.
    pub fsync: bool,
}

impl Options {
    /// Reads the URL, and the options in it and beside it.
    pub fn parse(options: &StorageOptions) -> Result<Self> {
        options.refuse_unknown(&["fsync"])?;
        let rest = options.url.strip_prefix("files:").unwrap_or(&options.url);
        let (directory, query) = rest.split_once('?').unwrap_or((rest, ""));
        if directory.is_empty() || directory.starts_with("//") {
            return Err(Error::invalid(FORM));
        }
        let mut fsync = options.options.get("fsync").map(String::as_str);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name != "fsync" {
                return Err(Error::invalid(format!("{name:?} is not a parameter of a files: URL: it takes fsync")));
            }
            if fsync.replace(value).is_some() {
                return Err(Error::invalid("fsync is given twice: give it once, in the storage URL or beside it"));
            }
        }
        let fsync = match fsync {
            None | Some("off") => false,
            Some("on") => true,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "fsync is {other:?}: it is off (saves survive the end of the process) or on (also that of the machine)"
                )));
            }
        };
        Ok(Self { directory: PathBuf::from(directory), fsync })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, options: &[(&str, &str)]) -> Result<Options> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Options::parse(&StorageOptions { url: url.to_owned(), options, ..StorageOptions::default() })
    }

    #[test]
    fn fsync_is_off_unless_it_is_given_in_the_url_or_beside_it() {
        for (url, options, fsync) in [
            ("files:/var/lib/site", &[][..], false),
            ("files:/var/lib/site?fsync=off", &[], false),
            ("files:/var/lib/site?fsync=on", &[], true),
            ("files:/var/lib/site", &[("fsync", "on")], true),
        ] {
            let expected = Options { directory: "/var/lib/site".into(), fsync };
            assert_eq!(parse(url, options).expect("it is a storage URL"), expected, "{url}");
        }
    }

    #[test]
    fn impossible_urls_and_options_are_refused_with_what_would_be_right() {
        for (url, options, hint) in [
            ("files:", &[][..], "files:DIR"),
            ("files:?fsync=on", &[], "files:DIR"),
            ("files:///var/lib", &[], "without //"),
            ("files:x?fsync=yes", &[], "off (saves survive"),
            ("files:x?fsync", &[], "off (saves survive"),
            ("files:x?sync=on", &[], "it takes fsync"),
            ("files:x", &[("synchronous", "FULL")], "they have fsync"),
            ("files:x?fsync=on", &[("fsync", "on")], "given twice"),
        ] {
            let error = parse(url, options).expect_err("it is refused");
            assert!(error.is_invalid(), "{error}");
            assert!(error.to_string().contains(hint), "{url}: {error}");
        }
    }
}
