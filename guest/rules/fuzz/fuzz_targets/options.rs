//! Whatever the options are, they are refused or make one header of the expected form.
#![no_main]

use arbitrary::Arbitrary;
use lemon_session_rules::{
    cookie::{Cookie, MAX_BYTES},
    id,
    options::Cookie as Given,
    settings::CookieSettings,
    types::{SameSite, Secure},
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    app: String,
    https: bool,
    name: Option<String>,
    path: Option<String>,
    domain: Option<String>,
    comment: Option<String>,
    secure: Option<u8>,
    same_site: Option<u8>,
    http_only: Option<bool>,
    partitioned: Option<bool>,
    lifetime: Option<u32>,
    expires_in: u64,
}

fuzz_target!(|input: Input| {
    let settings = CookieSettings::default();
    let cookie = Given {
        name: input.name,
        path: input.path,
        domain: input.domain,
        secure: input.secure.map(|n| [Secure::Auto, Secure::On, Secure::Off][usize::from(n % 3)]),
        http_only: input.http_only,
        same_site: input.same_site.map(|n| [SameSite::Strict, SameSite::Lax, SameSite::None][usize::from(n % 3)]),
        partitioned: input.partitioned,
        lifetime: input.lifetime,
        comment: input.comment,
    };
    let cookie = Cookie::new(Some(&cookie), input.https, &settings, &input.app);
    if cookie.check().is_err() {
        return;
    }
    let id = id::new([7; 32], &input.app);
    for header in [cookie.set(&id, input.expires_in), cookie.delete()] {
        assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let (pair, attributes) = header.split_once(';').expect("there are attributes");
        assert!(pair.len() <= MAX_BYTES + 1);
        for attribute in attributes.split(';') {
            let name = attribute.trim_start().split('=').next().unwrap_or_default();
            let known = [
                "Path", "Domain", "Comment", "Secure", "HttpOnly", "Partitioned", "SameSite", "Max-Age",
            ];
            assert!(known.contains(&name), "{header}");
        }
        let is_secure = header.contains("; Secure");
        assert!(is_secure || !header.contains("SameSite=None"));
        assert!(is_secure || !header.contains("; Partitioned"));
    }
});
