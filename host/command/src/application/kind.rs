//! What an application is, by the interface that it exports.

use wasmparser::{Chunk, Parser, Payload};

use crate::output;

/// The interface through which an application gets requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A component of wasi:http.
    Http(Wasi),
    /// A component of wasi:cli, as a CGI program (RFC 3875).
    Program(Wasi),
}

/// A version of WASI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wasi {
    /// 0.2, whose functions block their caller.
    P2,
    /// 0.3, with asynchronous functions.
    P3,
}

/// The interfaces of applications. Of several, the first one counts.
const INTERFACES: [(&str, Kind); 4] = [
    ("wasi:http/handler@0.3.", Kind::Http(Wasi::P3)),
    ("wasi:http/incoming-handler@0.2.", Kind::Http(Wasi::P2)),
    ("wasi:cli/run@0.3.", Kind::Program(Wasi::P3)),
    ("wasi:cli/run@0.2.", Kind::Program(Wasi::P2)),
];

impl Kind {
    /// The kind of a component. `None` if it is not an application.
    ///
    /// Reads the outermost exports only, so that `cgi`, which does this for each request, does not read all code. Whether
    /// the component is valid is for its compiler to say.
    pub fn of(component: &[u8]) -> Option<Self> {
        let exports = exports(component).unwrap_or_default();
        let is_exported = |interface: &str| exports.iter().any(|export| export.starts_with(interface));
        INTERFACES.iter().find(|(interface, _)| is_exported(interface)).map(|(_, kind)| *kind)
    }

    /// The version of WASI that it is built for.
    pub fn wasi(self) -> Wasi {
        match self {
            Self::Http(wasi) | Self::Program(wasi) => wasi,
        }
    }
}

/// What a component is that is not an application, by its exports, and what would be right.
pub fn foreign(component: &[u8]) -> String {
    let exports = exports(component).unwrap_or_default();
    let has = |interface: &str| exports.iter().any(|export| export.starts_with(interface));
    let advice = if has("lemon:session/storage") {
        "it is a store: join an application with it by `lemon-session compose --provider`"
    } else if has("lemon:session/") {
        "it is a session component, which this server has already: applications import it"
    } else if has("wasi:http/middleware@") {
        "it is a middleware: join an application with it first"
    } else if has("wasi:http/") || has("wasi:cli/") {
        "it is built for another version of WASI than 0.2 and 0.3"
    } else {
        "if an application imports this, it is a module: pass it to --with"
    };
    let of_what = match exports.len() {
        0 => return "it exports nothing; build it as a component of wasi:http or wasi:cli".to_owned(),
        1..=SHOWN => String::new(),
        more => format!(" and {} more", more - SHOWN),
    };
    let shown: Vec<_> = exports.iter().take(SHOWN).map(|name| output::name(name)).collect();
    format!("it exports {}{of_what}; {advice}", shown.join(", "))
}

/// The number of exports that are shown.
const SHOWN: usize = 5;

/// The names of a component's exports.
fn exports(component: &[u8]) -> wasmparser::Result<Vec<&str>> {
    let mut exports = Vec::new();
    let (mut parser, mut rest) = (Parser::new(0), component);
    loop {
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else { return Ok(exports) };
        rest = rest.get(consumed..).unwrap_or_default();
        match payload {
            // What is nested has exports of its own.
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                rest = rest.get(unchecked_range.len()..).unwrap_or_default();
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    exports.push(export?.name.name);
                }
            }
            Payload::End(_) => return Ok(exports),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section of a component.
    fn section(id: u8, body: &[u8]) -> Vec<u8> {
        let mut section = vec![id];
        length(body.len(), &mut section);
        section.extend_from_slice(body);
        section
    }

    /// An unsigned LEB128.
    fn length(mut length: usize, to: &mut Vec<u8>) {
        while length >= 0x80 {
            to.push(length as u8 | 0x80);
            length >>= 7;
        }
        to.push(length as u8);
    }

    /// A component with these sections.
    fn component(sections: &[Vec<u8>]) -> Vec<u8> {
        [b"\0asm\x0d\0\x01\0".to_vec(), sections.concat()].concat()
    }

    /// Exports of empty instances under these names.
    fn exporting(names: &[&str]) -> Vec<u8> {
        let mut body = Vec::new();
        length(names.len(), &mut body);
        for name in names {
            body.push(0);
            length(name.len(), &mut body);
            body.extend_from_slice(name.as_bytes());
            // Instance 0, without a type.
            body.extend_from_slice(&[5, 0, 0]);
        }
        // An instance of no exports, and the exports.
        component(&[section(5, &[1, 1, 0]), section(11, &body)])
    }

    #[test]
    fn the_kind_is_that_of_the_exports_and_the_newer_wasi_counts() {
        for (exports, kind) in [
            (&["wasi:http/incoming-handler@0.2.3"][..], Some(Kind::Http(Wasi::P2))),
            (&["wasi:cli/run@0.2.0"], Some(Kind::Program(Wasi::P2))),
            (&["wasi:http/handler@0.3.0"], Some(Kind::Http(Wasi::P3))),
            (&["wasi:cli/run@0.3.2"], Some(Kind::Program(Wasi::P3))),
            (&["wasi:cli/run@0.3.0", "wasi:http/incoming-handler@0.2.0"], Some(Kind::Http(Wasi::P2))),
            (&["wasi:http/incoming-handler@0.2.0", "wasi:http/handler@0.3.0"], Some(Kind::Http(Wasi::P3))),
            (&["wasi:http/handler@0.4.0", "example:app/run@0.2.0"], None),
            (&[], None),
        ] {
            assert_eq!(Kind::of(&exporting(exports)), kind, "{exports:?}");
        }
    }

    #[test]
    fn a_foreign_component_is_named_by_its_exports() {
        let cases: [(&[&str], &str); 6] = [
            (
                &["example:auth/auth@0.1.0"],
                "it exports example:auth/auth@0.1.0; if an application imports this, it is a module",
            ),
            (&["lemon:session/storage@0.1.0"], "it exports lemon:session/storage@0.1.0; it is a store"),
            (&["lemon:session/sessions@0.1.0"], "it exports lemon:session/sessions@0.1.0; it is a session component"),
            (
                &["wasi:http/handler@0.4.0"],
                "it exports wasi:http/handler@0.4.0; it is built for another version of WASI",
            ),
            (&["a", "b", "c", "d", "e", "f", "g"], "it exports a, b, c, d, e and 2 more; "),
            (&[], "it exports nothing; "),
        ];
        for (exports, said) in cases {
            let text = foreign(&exporting(exports));
            assert!(text.starts_with(said), "{text}");
        }
    }

    #[test]
    fn exports_of_what_is_nested_do_not_count() {
        let nested = exporting(&["wasi:http/handler@0.3.0"]);
        assert_eq!(Kind::of(&component(&[section(4, &nested)])), None);
        let mut both = component(&[section(4, &nested)]);
        both.extend_from_slice(&exporting(&["wasi:cli/run@0.2.0"])[8..]);
        assert_eq!(Kind::of(&both), Some(Kind::Program(Wasi::P2)));
    }

    #[test]
    fn what_is_not_a_component_has_no_kind() {
        let whole = exporting(&["wasi:http/handler@0.3.0"]);
        for length in 0..whole.len() {
            assert_eq!(Kind::of(&whole[..length]), None, "{length} bytes");
        }
        for other in [&b"\0asm\x01\0\0\0"[..], b"#!/bin/sh", &[0xff; 100]] {
            assert_eq!(Kind::of(other), None);
        }
    }
}
