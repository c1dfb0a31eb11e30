use super::*;

fn read(fields: &[&str]) -> Vec<String> {
    let fields: Vec<_> = fields.iter().map(|field| field.as_bytes().to_vec()).collect();
    let presented = super::read(&fields, "session", None, 16384).unwrap();
    presented.candidates.into_iter().map(|candidate| candidate.id).collect()
}

#[test]
fn an_id_is_found_among_other_cookies_and_in_any_field() {
    assert_eq!(read(&[&format!("a=b; session={ID}; c=d")]), [ID]);
    assert_eq!(read(&[&format!("a=b;session={ID}")]), [ID]);
    assert_eq!(read(&["a=b", &format!("session={ID}")]), [ID]);
    assert_eq!(read(&[&format!("session={ID}"), &format!("session={ID}")]), [ID]);
}

#[test]
fn names_are_compared_whole_and_with_regard_to_case() {
    for name in ["xsession", "sessionx", "Session", "session ", "\"session\""] {
        assert!(read(&[&format!("{name}={ID}")]).is_empty(), "{name}");
    }
}

#[test]
fn what_is_no_id_is_passed_over() {
    for value in ["", "x", "'; DROP TABLE Session; --", &ID[1..], &format!("{ID}A"), &format!("\"{ID}\"")] {
        assert!(read(&[&format!("session={value}")]).is_empty(), "{value}");
    }
}

#[test]
fn sixteen_different_ids_are_read_and_of_more_none() {
    let field = |ids: u8| (0..ids).map(|n| format!("session={}; ", id::new([n; 32], ""))).collect::<String>();
    assert_eq!(read(&[&field(16)]).len(), MAX_CANDIDATES);
    assert_eq!(read(&[&field(16), &field(16)]).len(), MAX_CANDIDATES, "each counts once");
    for ids in [17, 18, 200] {
        assert!(read(&[&field(ids)]).is_empty(), "{ids}");
    }
}

#[test]
fn any_cookie_of_the_name_is_noticed() {
    let any = |field: &str| super::read(&[field.into()], "session", None, 16384).unwrap().any;
    assert!(any(&format!("a=b; session={ID}")) && any("session=x") && any("session="));
    assert!(!any("a=b; sessions=x; session") && !any(""));
}

#[test]
fn a_mark_behind_the_id_tells_whether_a_cookie_has_the_attributes_that_are_asked_for() {
    let is_current = |field: &str, mark| {
        let presented = super::read(&[field.into()], "session", mark, 16384).unwrap();
        presented.candidates.into_iter().map(|candidate| (candidate.id, candidate.is_current)).collect::<Vec<_>>()
    };
    let mark = Some(*b"AbC_");
    let [plain, marked, other] = ["", ".AbC_", ".AbCd"].map(|mark| format!("session={ID}{mark}"));
    assert_eq!(is_current(&plain, None), [(ID.into(), true)]);
    assert_eq!(is_current(&marked, mark), [(ID.into(), true)]);
    for (field, mark) in [(&plain, mark), (&marked, None), (&other, mark)] {
        assert_eq!(is_current(field, mark), [(ID.into(), false)], "{field}");
    }
    for several in [format!("{other}; {marked}"), format!("{marked}; {plain}"), format!("{marked}; {marked}")] {
        assert_eq!(is_current(&several, mark), [(ID.into(), true)], "one of them is enough: {several}");
    }
    for malformed in [".", ".AbC", ".AbC__", "-AbC_", "AbC_"] {
        assert_eq!(is_current(&format!("session={ID}{malformed}"), mark), [], "{malformed}");
    }
}

#[test]
fn cookie_fields_past_the_limit_are_too_large_together() {
    let read = |lengths: [usize; 2]| super::read(&lengths.map(|length| vec![b'a'; length]), "session", None, 100);
    assert!(read([50, 50]).is_ok());
    assert!(matches!(read([50, 51]), Err(Error::TooLarge(text)) if text.contains("header-bytes")));
}

/// What Cookie fields are made of: ids, some of them under the name of the session, and what is nearly one.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let id = any::<[u8; 32]>().prop_map(|random| id::new(random, ""));
    let nearly = (id.clone(), 0..id::LENGTH, any::<u8>()).prop_map(|(id, at, byte)| {
        let mut id = id.into_bytes();
        id[at] = byte;
        [&b"session="[..], &id, b"; "].concat()
    });
    let part = prop_oneof![
        3 => id.prop_map(|id| format!("session={id}; ").into_bytes()),
        1 => nearly,
        1 => select(vec!["; ", ";", " ", "\t", "session=", "sessions=", "=", "\"", "\r\n", ID])
            .prop_map(|part| part.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(part, 0..6).prop_map(|parts| parts.concat())
}

#[test]
fn only_ids_that_stand_alone_under_the_name_come_out_of_any_fields() {
    let (none, some) = (Cell::new(0), Cell::new(0));
    let kept = TestRunner::new(ProptestConfig::with_source_file(file!())).run(&vec(field(), 0..3), |fields| {
        let mut expected: Vec<String> = Vec::new();
        for pair in fields.iter().flat_map(|field| field.split(|byte| *byte == b';')) {
            let pair = String::from_utf8_lossy(pair.trim_ascii()).into_owned();
            if let Some(("session", id)) = pair.split_once('=')
                && id::is_well_formed(id.as_bytes())
                && !expected.contains(&id.to_owned())
            {
                expected.push(id.to_owned());
            }
        }
        // What becomes of too many is a rule of its own.
        if expected.len() <= MAX_CANDIDATES {
            let outcome = if expected.is_empty() { &none } else { &some };
            outcome.set(outcome.get() + 1);
            let presented = super::read(&fields, "session", None, 1 << 20).unwrap();
            let ids: Vec<_> = presented.candidates.into_iter().map(|candidate| candidate.id).collect();
            prop_assert_eq!(ids, expected);
        }
        Ok(())
    });
    kept.unwrap();
    assert!(none.get() > 32 && some.get() > 32, "{} without an id, {} with one", none.get(), some.get());
}

proptest! {
    #[test]
    fn an_id_that_was_set_is_read_back(random: [u8; 32], before in "[a-z=; ]{0,20}", after in "[a-z=; ]{0,20}") {
        let id = id::new(random, "");
        let field = format!("{before};session={id};{after}");
        prop_assert_eq!(read(&[&field]), [id]);
    }
}
