//! Paths, and what an application may take a request's path for.

use alloc::{format, string::String, vec::Vec};

use percent_encoding::percent_decode;

/// The names between the slashes of a path.
type Segments = Vec<Vec<u8>>;

/// Paths with all that is below them: `/account` with `/account/orders`, but not `/accounts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths(Vec<Segments>);

impl Paths {
    /// Reads paths that are separated by commas.
    ///
    /// # Errors
    ///
    /// Fails for what is not a path in its simplest form.
    pub fn parse(value: &str) -> Result<Self, String> {
        let paths = value.split(',').map(str::trim).filter(|path| !path.is_empty());
        paths.map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// The first path that is in `others` too.
    pub fn first_in(&self, others: &Self) -> Option<String> {
        self.0.iter().find(|path| others.0.contains(path)).map(shown)
    }

    /// The number of segments of the longest path that `segments` is below.
    fn longest_above(&self, segments: &Segments) -> Option<usize> {
        self.0.iter().filter(|path| segments.starts_with(path)).map(Vec::len).max()
    }
}

fn parse(path: &str) -> Result<Segments, String> {
    let simple = simple(path.as_bytes());
    // A slash at the end means the same.
    let written = [path, path.strip_suffix('/').unwrap_or(path)];
    let is_simple = resolved(&simple) == simple && written.contains(&shown(&simple).as_str());
    if is_simple && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"%?#*\"<>".contains(&byte)) {
        Ok(simple)
    } else {
        Err(format!(
            "{path:?} is not a path: it begins with a slash, as /account, which is everything below it too, and has no query, \
             no %, no *, no ; and no dots or slashes that could be left out"
        ))
    }
}

fn shown(segments: &Segments) -> String {
    format!("/{}", String::from_utf8_lossy(&segments.join(&b'/')))
}

/// How often a path is decoded at most.
const DECODINGS: usize = 3;

/// All that an application, and what is in front of it, may take a request's path for.
///
/// Programs differ in whether they decode `%2e`, once or twice, resolve `..`, take a backslash or several slashes for one, and
/// read `;` as an end. A path is protected if one of its readings is, and excepted from a rule if all of them are.
#[derive(Clone, Debug)]
pub struct Readings {
    all: Vec<Segments>,
    /// Whether decoding once more makes no other path.
    are_settled: bool,
}

impl Readings {
    /// The readings of a request's target: a path, with or without a query.
    pub fn of(target: &str) -> Self {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let mut path = path.as_bytes().to_vec();
        let mut all = Vec::new();
        for _ in 0..=DECODINGS {
            let simple = simple(&path);
            all.extend([literal(&path), resolved(&simple), simple]);
            let decoded: Vec<u8> = percent_decode(&path).collect();
            if decoded == path {
                return Self { all, are_settled: true };
            }
            path = decoded;
        }
        Self { all, are_settled: false }
    }

    /// Whether a path needs an owner: whether it is below one of `protect`, and not below a longer one of `public`.
    pub fn are_protected(&self, protect: &Paths, public: &Paths) -> bool {
        let is_protected = |segments: &Segments| protect.longest_above(segments) > public.longest_above(segments);
        !protect.0.is_empty() && !self.are_settled || self.all.iter().any(is_protected)
    }

    /// Whether a path is below one of `paths`, however it is read.
    pub fn are_below(&self, paths: &Paths) -> bool {
        self.are_settled && self.all.iter().all(|segments| paths.longest_above(segments).is_some())
    }
}

/// The segments as they are.
fn literal(path: &[u8]) -> Segments {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()
}

/// The segments without what may be left out, apart from `..`.
fn simple(path: &[u8]) -> Segments {
    let segments = path.split(|byte| b"/\\".contains(byte));
    let names = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
    names.filter(|name| !name.is_empty() && *name != b".").map(<[u8]>::to_vec).collect()
}

/// The segments to which those with `..` lead.
fn resolved(segments: &Segments) -> Segments {
    let mut resolved = Segments::new();
    for segment in segments {
        match segment.as_slice() {
            b".." => _ = resolved.pop(),
            _ => resolved.push(segment.clone()),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(value: &str) -> Paths {
        Paths::parse(value).unwrap()
    }

    #[track_caller]
    fn is_protected(target: &str, protect: &str, public: &str) {
        assert!(Readings::of(target).are_protected(&paths(protect), &paths(public)), "{target}");
    }

    #[track_caller]
    fn is_open(target: &str, protect: &str, public: &str) {
        assert!(!Readings::of(target).are_protected(&paths(protect), &paths(public)), "{target}");
    }

    #[test]
    fn a_path_is_protected_with_all_that_is_below_it() {
        for target in ["/account", "/account/", "/account/orders/1", "/account?x=/public", "/account#top"] {
            is_protected(target, "/admin,/account", "");
        }
        for target in ["/", "", "*", "/accounts", "/my/account", "/Account", "/?/account"] {
            is_open(target, "/admin,/account", "");
        }
        for target in ["/", "", "*", "/anything"] {
            is_protected(target, "/", "");
            is_open(target, "", "");
        }
    }

    #[test]
    fn the_longest_path_decides() {
        is_open("/login", "/", "/login,/static");
        is_open("/static/style.css", "/", "/login,/static");
        is_protected("/static/private/key", "/,/static/private", "/static");
        is_open("/account/new", "/account", "/account/new");
        is_protected("/account/news", "/account", "/account/new");
    }

    #[test]
    fn a_path_that_an_application_may_take_for_a_protected_one_is_protected() {
        for target in [
            "//admin",
            "/./admin",
            "/x/../admin",
            "/admin/../x",
            "/admin;v=1/users",
            "/admin\\users",
            "/%61dmin",
            "/%2561dmin",
            "/x%2f..%2fadmin",
            "/x/%2e%2e/admin",
            "/x/..;/admin",
            "/%2fadmin",
            "/\\admin",
        ] {
            is_protected(target, "/admin", "");
        }
    }

    #[test]
    fn a_path_that_an_application_may_not_take_for_a_public_one_is_protected() {
        for target in
            ["/login/../account", "/login\\x", "/login;x", "//login", "/login%2f..%2faccount", "/%6cogin", "/LOGIN"]
        {
            is_protected(target, "/", "/login");
        }
    }

    #[test]
    fn a_path_that_is_encoded_too_often_is_protected() {
        is_protected("/%252525252561", "/admin", "");
        is_open("/%252525252561", "", "");
        assert!(!Readings::of("/hooks/%252525252561").are_below(&paths("/hooks")));
    }

    #[test]
    fn an_exception_is_for_paths_that_cannot_be_taken_for_others() {
        for target in ["/hooks", "/hooks/", "/hooks/pay?x=1", "/hooks/a%20b"] {
            assert!(Readings::of(target).are_below(&paths("/hooks")), "{target}");
        }
        for target in ["/", "/hook", "/hooks/../account", "/hooks/%2e%2e/account", "/hooks;x", "/x/../hooks", "//hooks"]
        {
            assert!(!Readings::of(target).are_below(&paths("/hooks")), "{target}");
        }
        assert!(Readings::of("/hooks/../account").are_below(&paths("/")));
    }

    #[test]
    fn only_a_path_in_its_simplest_form_is_configured() {
        assert_eq!(paths(" /a , ,/b/c/,/"), paths("/a,/b/c,/"));
        for path in ["a", "/a//b", "/a/../b", "/./a", "/a;b", "/a\\b", "/a%20b", "/a?b", "/a#b", "/a/*", "/ä", "/a b"]
        {
            assert!(Paths::parse(path).is_err_and(|why| why.contains("is not a path")), "{path}");
        }
    }
}
