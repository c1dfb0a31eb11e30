use super::*;

#[test]
fn the_defaults_are_http_only_lax_and_the_whole_site() {
    assert_eq!(written(|_, _| ()).unwrap(), format!("session={ID}; Path=/; HttpOnly; SameSite=Lax; Max-Age=1440"));
}

#[test]
fn secure_auto_goes_by_the_request() {
    assert!(written(|options, _| options.https = true).unwrap().contains("; Secure"));
    assert!(!written(|_, _| ()).unwrap().contains("Secure"));
    assert!(written(|_, cookie| cookie.secure = Some(Secure::On)).unwrap().contains("; Secure"));
    let off = |options: &mut Options, cookie: &mut Given| {
        options.https = true;
        cookie.secure = Some(Secure::Off);
    };
    assert!(!written(off).unwrap().contains("Secure"));
}

#[test]
fn lifetime_0_means_until_the_browser_closes() {
    assert!(!written(|_, cookie| cookie.lifetime = Some(0)).unwrap().contains("Max-Age"));
    assert!(written(|_, cookie| cookie.lifetime = Some(60)).unwrap().ends_with("Max-Age=60"));
}

#[test]
fn a_cookie_lives_400_days_at_most() {
    let lasting = |seconds| written(|_, cookie| cookie.lifetime = Some(seconds));
    assert!(lasting(34_560_000).unwrap().ends_with("Max-Age=34560000"));
    assert!(lasting(34_560_001).is_err());
    let settings = settings();
    let cookie = Cookie::new(None, false, &settings.cookie, "session");
    assert!(cookie.set(ID, u64::MAX).ends_with("Max-Age=34560000"), "however long the session lasts");
    assert!(cookie.set(ID, 0).ends_with("Max-Age=1"), "0 would delete it");
}

#[test]
fn deletion_keeps_name_path_domain_and_attributes() {
    let given = Given { domain: Some("example.org".into()), path: Some("/a".into()), ..cookie() };
    let settings = settings();
    let cookie = Cookie::new(Some(&given), true, &settings.cookie, "session");
    assert_eq!(cookie.delete(), "session=; Path=/a; Domain=example.org; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
}

/// What ends an attribute, a header or a line, or passes for that somewhere, and what is harmless in some attributes only.
const WILD: [&str; 18] = [
    ";",
    "; Domain=evil.example",
    "\r\nSet-Cookie: a=b",
    "\n",
    "\r",
    "\0",
    "\t",
    "\u{1b}",
    "\u{7f}",
    "\u{80}",
    "\u{85}",
    "é",
    "\u{2028}",
    "\u{10a}",
    "\"",
    "=",
    ",",
    " ",
];

/// An attribute's text: a valid one, one time in six with something wild in it.
fn attribute(valid: &'static str) -> impl Strategy<Value = String> {
    let wild = option::weighted(1.0 / 6.0, (any::<sample::Index>(), select(&WILD[..])));
    (valid, wild).prop_map(|(mut text, wild)| {
        if let Some((at, wild)) = wild {
            text.insert_str(at.index(text.len() + 1), wild);
        }
        text
    })
}

#[test]
fn nothing_in_the_options_breaks_out_of_the_header() {
    let label = "[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?";
    let domain: &'static str = format!("(\\.?{label}(\\.{label}){{0,2}})?").leak();
    let all = (
        attribute("[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,12}"),
        attribute("/[ -:<-~]{0,12}"),
        attribute(domain),
        attribute("[ -:<-~]{0,12}"),
        any::<bool>(),
    );
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let kept =
        TestRunner::new(ProptestConfig::with_source_file(file!())).run(&all, |(name, path, domain, comment, https)| {
            let header = written(|options, cookie| {
                options.https = https;
                cookie.name = Some(name.clone());
                cookie.path = Some(path.clone());
                cookie.domain = Some(domain.clone());
                cookie.comment = Some(comment.clone());
            });
            let Ok(header) = header else {
                refused.set(refused.get() + 1);
                return Ok(());
            };
            accepted.set(accepted.get() + 1);
            let (value, attributes) = header.split_once(';').unwrap();
            let value = value.strip_prefix(&format!("{name}=")).and_then(|value| parse(value.as_bytes()));
            prop_assert_eq!(value.map(|(id, _)| id), Some(ID));
            let mut parts = vec![format!(" Path={path}")];
            parts.extend((!domain.is_empty()).then(|| format!(" Domain={domain}")));
            parts.extend((!comment.is_empty()).then(|| format!(" Comment={comment}")));
            parts.extend(https.then(|| " Secure".to_owned()));
            parts.extend([" HttpOnly", " SameSite=Lax", " Max-Age=1440"].map(str::to_owned));
            prop_assert_eq!(attributes.split(';').collect::<Vec<_>>(), parts);
            prop_assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", header);
            Ok(())
        });
    kept.unwrap();
    assert!(accepted.get() > 64 && refused.get() > 64, "{} accepted, {} refused", accepted.get(), refused.get());
}
