use std::cell::Cell;

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::TestRunner,
};

use lemon_session_host::settings::{CacheLimiter, SameSite, Secure};

use super::{parse::*, *};

const EXAMPLE: &str = include_str!("../../lemon.ini");

/// The example with every key uncommented: the lines `# key = value`, but not the indented ones, which are
/// illustrations.
fn uncommented() -> String {
    let is_key = |line: &str| {
        let key = line.split(" =").next().unwrap_or_default();
        line.contains(" =") && !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let lines = EXAMPLE.lines().map(|line| line.strip_prefix("# ").filter(|line| is_key(line)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn mistakes(text: &str) -> Vec<String> {
    match Config::parse(text, "lemon.ini") {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn the_example_changes_nothing_as_it_is() {
    let config = Config::parse(EXAMPLE, "lemon.ini").unwrap();
    assert_eq!(format!("{:?}", config.settings), format!("{:?}", Settings::default()));
}

#[test]
fn the_example_uncommented_says_the_defaults() {
    let config = Config::parse(&uncommented(), "lemon.ini").unwrap();
    let defaults = Config::default();
    assert_eq!(format!("{:?}", config.settings), format!("{:?}", defaults.settings));
    assert_eq!(config.storage.options.url, defaults.storage.options.url);
    assert_eq!(config.storage.options.table, defaults.storage.options.table);
    assert_eq!(config.storage.options.options, defaults.storage.options.options);
    assert_eq!(config.storage.tables, defaults.storage.tables);
    assert!(config.storages.is_empty());
    assert_eq!(config.server, defaults.server);
}

#[test]
fn the_example_names_every_key() {
    let missing = |text: &str| {
        let mut document = Document::parse(text).unwrap();
        Config::default().read(&mut document, "lemon.ini");
        assert!(document.asked.len() >= 30);
        let missing = document.asked.into_iter().filter(|(.., is_there)| !is_there);
        missing.map(|(section, key, _)| format!("[{section}] {key}")).collect::<Vec<_>>()
    };
    let text = uncommented();
    assert_eq!(missing(&text), [""; 0]);
    assert_eq!(missing(&text.replace("\nrolling = ", "\n# rolling = ")), ["[session] rolling"]);
}

#[test]
fn what_the_file_says_is_read() {
    let text = "\
[session]
app = shop
expires = 30m
rolling = no
touch-after = 60
cleanup = 0
seed = \"it's\"
[session.cookie]
name = __Host-sid
secure = ON
same-site = Strict
lifetime = 0
[session.limits]
session-bytes = 1M
value-bytes = 64K
[session.reserved]
auth = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
[storage]
url = mysql://shop:p=a#s;s\\w\"ord@db/shop
table = Shop
tables = Basket, Forum
pool = 8
[storage.archive]
url = sqlite:archive.db
";
    let config = Config::parse(text, "lemon.ini").unwrap();
    assert_eq!(config.settings.app, "shop");
    assert_eq!(config.settings.expires, 1800);
    assert!(!config.settings.rolling);
    assert_eq!(config.settings.touch_after, Some(60));
    assert_eq!(config.settings.cleanup, 0.0);
    assert_eq!(config.settings.seed, "\"it's\"");
    assert_eq!(config.settings.cookie.name.as_deref(), Some("__Host-sid"));
    assert_eq!(config.settings.cookie.secure, Secure::On);
    assert_eq!(config.settings.cookie.same_site, SameSite::Strict);
    assert_eq!(config.settings.cookie.lifetime, Some(0));
    assert_eq!(config.settings.limits.session_bytes, 1 << 20);
    assert_eq!(config.settings.limits.value_bytes, 1 << 16);
    assert_eq!(config.settings.reserved[0].name, "auth");
    assert_eq!(config.storage.options.url, "mysql://shop:p=a#s;s\\w\"ord@db/shop");
    assert_eq!(config.storage.options.table.as_str(), "Shop");
    assert_eq!(config.storage.tables.iter().map(|table| table.as_str()).collect::<Vec<_>>(), ["Basket", "Forum"]);
    assert_eq!(config.storage.options.options.get("pool").map(String::as_str), Some("8"));
    assert_eq!(config.storages["archive"].options.url, "sqlite:archive.db");
}

#[test]
fn grants_of_the_manager_are_read_by_path() {
    let text = "[session]\nmanager = none\n[session.manager]\n/admin = all\n/ = Owners\n";
    let config = Config::parse(text, "lemon.ini").unwrap();
    assert_eq!(config.manager, Grant::None);
    assert_eq!(config.managers, [("/".to_owned(), Grant::Owners), ("/admin".to_owned(), Grant::All)].into());
    assert_eq!(
        mistakes("[session]\nmanager = some\n[session.manager]\nadmin = all\n/blog = yes\n"),
        [
            "lemon.ini:2: [session] manager: \"some\" is not one of none, owners, all",
            "lemon.ini:4: [session.manager] admin: \"admin\" is not a path of --mount, such as /shop, or / for the whole site",
            "lemon.ini:5: [session.manager] /blog: \"yes\" is not one of none, owners, all",
        ]
    );
}

#[test]
fn cache_limiters_are_read() {
    let config = Config::parse("[session]\ncache-limiter = Private\ncache-expire = 5m\n", "lemon.ini").unwrap();
    assert_eq!((config.settings.cache_limiter, config.settings.cache_expire), (CacheLimiter::Private, 300));
    assert_eq!(
        mistakes("[session]\ncache-limiter = private_no_expire\n"),
        ["lemon.ini:2: [session] cache-limiter: \"private_no_expire\" is not one of nocache, private, public, none"]
    );
}

#[test]
fn a_misspelt_key_or_section_is_a_mistake_with_its_line_and_the_right_name() {
    assert_eq!(
        mistakes("[session]\n\n# a comment\nexpiers = 60\n"),
        ["lemon.ini:4: [session] expiers: there is no such key; did you mean expires?"]
    );
    assert_eq!(
        mistakes("[sesion]\nexpires = 60\n"),
        ["lemon.ini:1: [sesion]: there is no such section; did you mean session?"]
    );
    let all = mistakes("[session.limits]\nqqq = 1\n");
    assert!(
        all[0].ends_with(
            "the choices are key-length, app-length, variables, value-bytes, session-bytes, header-bytes, new-sessions"
        ),
        "{all:?}"
    );
}

#[test]
fn a_wrong_type_is_a_mistake_that_says_what_would_be_right() {
    assert_eq!(
        mistakes("[session.cookie]\nsecure = maybe\n"),
        ["lemon.ini:2: [session.cookie] secure: \"maybe\" is not one of auto, on, off"]
    );
    for (line, right) in [
        ("expires = soon", "a number with ms, s, m, h or d"),
        ("expires = -1", "a number with ms, s, m, h or d"),
        ("expires = +1", "a number with ms, s, m, h or d"),
        ("expires =", "a number with ms, s, m, h or d"),
        ("expires = 50000d", "at most 49710 days"),
        ("rolling = perhaps", "true, false"),
        ("cleanup = often", "from 0 to 1"),
    ] {
        let all = mistakes(&format!("[session]\n{line}\n"));
        assert!(all.len() == 1 && all[0].starts_with("lemon.ini:2: [session] ") && all[0].contains(right), "{all:?}");
    }
}

#[test]
fn an_impossible_value_is_a_mistake_at_its_line() {
    let all =
        mistakes("[session]\nexpires = 2d\nmax-lifetime = 1d\ncleanup = 1.5\n[session.cookie]\nsame-site = none\n");
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[0].starts_with("lemon.ini:2: [session] expires: 172800 seconds are more than max-lifetime allows"));
    assert!(all[1].starts_with("lemon.ini:4: [session] cleanup: 1.5 is not a probability"));
    assert!(all[2].starts_with("lemon.ini:6: [session.cookie] same-site:") && all[2].contains("set secure to on"));
}

#[test]
fn a_key_given_twice_is_a_mistake_also_across_sections_of_one_name() {
    let twice = ["lemon.ini:4: [session] app: given twice, first on line 2; remove one of them"];
    assert_eq!(mistakes("[session]\napp = a\n\napp = b\n"), twice);
    assert_eq!(mistakes("[session]\napp = a\n[session]\napp = b\n"), twice);
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let all =
        mistakes("[session]\ncleanup = 2\n[storage]\ntable = 1x\n[storage.b]\n[nothing]\n[session.cookie]\npath = x\n");
    let lines: Vec<_> = all.iter().map(|mistake| mistake.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["2", "4", "5", "6", "8"], "{all:?}");
}

#[test]
fn keys_before_any_section_and_lines_that_are_none_are_mistakes() {
    assert!(mistakes("app = a\n")[0].contains("write [session]"));
    for (text, says) in [
        ("[session]\nexpires = 1\nlazy\nstrict = true\n", "lemon.ini:3: \"lazy\" has no value; expected [section]"),
        ("[session]\napp\n", "lemon.ini:2: \"app\" has no value; expected [section], key = value"),
        ("# Ours.\n\n[session\nexpires = 30m\n", "lemon.ini:3: the section \"[session\" has no ]; expected"),
        ("[session]\n\n = 30m\n", "lemon.ini:3: a value without a key; expected"),
    ] {
        let all = mistakes(text);
        assert!(all.len() == 1 && all[0].starts_with(says), "{all:?}");
    }
}

#[test]
fn lines_are_right_behind_continued_values_and_a_byte_order_mark() {
    assert_eq!(mistakes("\u{feff}[session]\r\nseed = a\r\nexpiers = 1\r\n").len(), 1);
    assert!(mistakes("\u{feff}[session]\r\nseed = a\r\nexpiers = 1\r\n")[0].starts_with("lemon.ini:3:"));
    assert!(mistakes("[session]\nseed = a\\\nb = c\nexpiers = 1\n")[0].starts_with("lemon.ini:4:"));
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let error = Config::load("no/such/lemon.ini").unwrap_err();
    assert!(error.to_string().starts_with("no/such/lemon.ini: "), "{error}");
}

#[tokio::test]
async fn an_option_that_the_driver_refuses_is_found_in_the_file() {
    let config = Config::parse("[storage]\nurl = memory:\n\ncolour = red\n", "lemon.ini").unwrap();
    let error = config.stores(&crate::drivers::registry()).open().await.unwrap_err();
    assert!(error.is_invalid());
    assert!(error.to_string().starts_with("lemon.ini:4: [storage] colour: "), "{error}");

    let config = Config::parse("[storage.b]\nurl = oracle:x\n", "lemon.ini").unwrap();
    let location = lemon_session_host::sessions::Location { storage: Some("b".to_owned()), table: None };
    let error = config.stores(&crate::drivers::registry()).driver(&location).await.err().unwrap();
    assert!(error.to_string().starts_with("lemon.ini:2: [storage.b] url: "), "{error}");
}

#[test]
fn no_debug_output_holds_a_password() {
    let text = "[storage]\nurl = mysql://a:secret@b/c\npassword = secret\n[storage.b]\nurl = redis://:secret@b\n";
    assert!(!format!("{:?}", Config::parse(text, "lemon.ini").unwrap()).contains("secret"));
}

/// The example with every key, and up to three of its lines replaced by nonsense or by another value of the key.
fn changed_example() -> impl Strategy<Value = String> {
    let lines: Vec<String> = uncommented().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let values = [
        "",
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        "30s",
        "1h",
        "90d",
        "64K",
        "1M",
        "5000M",
        "99999999999",
        "yes",
        "off",
        "auto",
        "none",
        "strict",
        "/",
        "/a;b",
        "é",
        "\"",
        "a",
        "a, b",
        "127.0.0.1",
        "::1/64",
        "\\",
    ];
    let new = prop_oneof![
        4 => select(values.to_vec()).prop_map(|value| format!("= {value}")),
        1 => "\\[?[a-z.= \\]\\\\\"'#;:\r\n-]{0,12}",
        1 => "\\PC{0,8}",
    ];
    vec((any::<Index>(), new), 0..4).prop_map(move |changes| {
        let mut lines = lines.clone();
        for (at, new) in changes {
            let at = at.index(lines.len());
            let line = &mut lines[at];
            *line = match (line.split_once(" ="), new.starts_with("= ")) {
                (Some((key, _)), true) => format!("{key} {new}"),
                _ => new,
            };
        }
        lines.join("\n")
    })
}

#[test]
fn any_text_is_read_or_refused_cleanly() {
    let (read, refused) = (Cell::new(0), Cell::new(0));
    let kept = TestRunner::new(ProptestConfig::with_source_file(file!())).run(&changed_example(), |text| {
        match Config::parse(&text, "lemon.ini") {
            Ok(config) => {
                read.set(read.get() + 1);
                prop_assert_eq!(config.settings.validate(), Ok(()));
            }
            Err(error) => {
                refused.set(refused.get() + 1);
                // The parser may stop after the last line.
                let lines = 1..=text.lines().count() + 1;
                prop_assert!(!error.mistakes.is_empty() && error.mistakes.is_sorted_by_key(|mistake| mistake.line));
                for mistake in &error.mistakes {
                    prop_assert!(mistake.line.is_none_or(|line| lines.contains(&line)), "{:?}", mistake);
                }
            }
        }
        Ok(())
    });
    kept.unwrap();
    assert!(read.get() > 32 && refused.get() > 32, "{} read, {} refused", read.get(), refused.get());
}

#[test]
fn what_is_no_time_or_size_is_refused_not_misread() {
    let (read, refused) = (Cell::new(0), Cell::new(0));
    let texts = "([+-]| |é|0x)?[0-9]{0,11} {0,2}[smhdKMxé]?";
    let kept = TestRunner::new(ProptestConfig::with_source_file(file!())).run(&texts, |text| {
        let times: [(char, u128); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
        let sizes: [(char, u128); 2] = [('K', 1_024), ('M', 1_048_576)];
        for (answer, units) in [(seconds(&text), &times[..]), (bytes(&text), &sizes[..])] {
            let unit = units.iter().find(|(unit, _)| text.ends_with(*unit));
            let digits = unit.map_or(&text[..], |(unit, _)| text.trim_end_matches(*unit).trim_end_matches(' '));
            let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit());
            let number = is_number.then(|| digits.parse::<u128>().unwrap() * unit.map_or(1, |(_, factor)| *factor));
            let outcome = if answer.is_ok() { &read } else { &refused };
            outcome.set(outcome.get() + 1);
            prop_assert_eq!(answer.ok(), number.and_then(|number| u32::try_from(number).ok()), "{}", text);
        }
        Ok(())
    });
    kept.unwrap();
    assert!(read.get() > 32 && refused.get() > 32, "{} read, {} refused", read.get(), refused.get());
}

proptest! {
    #[test]
    fn a_mistake_is_at_its_line(before in 0_usize..20, between in "(#[a-z= ]{0,8}|;|)") {
        let text = format!("{}[session]\n{between}\nexpiers = 1\n", "\n".repeat(before));
        let Err(error) = Config::parse(&text, "lemon.ini") else { panic!() };
        prop_assert_eq!(error.mistakes[0].line, Some(before + 3));
    }

    #[test]
    fn times_are_read_in_every_unit(number in 0_u32..49_710) {
        prop_assert_eq!(seconds(&number.to_string()), Ok(number));
        prop_assert_eq!(seconds(&format!("{number}s")), Ok(number));
        prop_assert_eq!(seconds(&format!("{number}m")), Ok(number * 60));
        prop_assert_eq!(seconds(&format!("{number} h")), Ok(number * 3600));
        prop_assert_eq!(seconds(&format!("{number}d")), Ok(number * 86_400));
    }
}
