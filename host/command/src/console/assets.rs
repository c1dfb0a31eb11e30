//! The files that pages load. They are part of the command, so that the console asks no other site for anything.

use http::{Response, StatusCode};

use super::response::{self, Body};

/// Path, type and content.
const ASSETS: [(&str, &str, &str); 4] = [
    ("/assets/style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("/assets/console.js", "text/javascript; charset=utf-8", include_str!("assets/console.js")),
    ("/assets/uplot.css", "text/css; charset=utf-8", include_str!("assets/uplot.css")),
    ("/assets/uplot.js", "text/javascript; charset=utf-8", include_str!("assets/uplot.js")),
];

/// The file at a path below the console's.
pub fn find(path: &str) -> Option<Response<Body>> {
    let (_, content_type, text) = ASSETS.iter().find(|(own, ..)| *own == path)?;
    Some(response::of_type(StatusCode::OK, content_type, *text))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_chart_library_is_unchanged_and_its_version_is_told() {
        let sums = [
            ("/assets/uplot.js", "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
            ("/assets/uplot.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
        ];
        for (path, sum) in sums {
            let text = ASSETS.iter().find(|(own, ..)| *own == path).unwrap().2;
            let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest, sum, "{path}");
        }
        let (about, licence) = (include_str!("assets/README.md"), include_str!("assets/uplot.LICENSE"));
        assert!(include_str!("assets/uplot.js").starts_with("/*! https://github.com/leeoniya/uPlot (v1.6.32) */"));
        assert!(about.contains("| 1.6.32 | MIT,") && licence.contains("MIT License"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for (path, _, text) in ASSETS {
            // The first line of the chart library names its home.
            let rest = text.trim_start_matches("/*! https://github.com/leeoniya/uPlot (v1.6.32) */");
            assert!(!rest.contains("://") && !rest.contains("url("), "{path}");
        }
    }
}
