//! The mistakes.

/// Mistakes of one kind.
pub struct Section {
    pub title: &'static str,
    pub cases: &'static [Case],
}

/// A mistake.
pub struct Case {
    pub title: &'static str,
    /// `lemon.ini`, if there is one.
    pub ini: &'static str,
    /// Lines for a shell; the last one is the mistake.
    pub commands: &'static str,
    pub needs: Needs,
}

/// What the mistake takes beside the command.
#[derive(Clone, Copy)]
pub enum Needs {
    Nothing,
    /// A user who may not write to the folder.
    NoRights,
    /// The server at this URL.
    Server(&'static str),
}

const MYSQL: Needs = Needs::Server("mysql://127.0.0.1:3306/");
const POSTGRES: Needs = Needs::Server("postgres://127.0.0.1:5432/");
const REDIS: Needs = Needs::Server("redis://127.0.0.1:6379/");

const fn case(title: &'static str, commands: &'static str) -> Case {
    Case { title, ini: "", commands, needs: Needs::Nothing }
}

/// A mistake in lemon.ini, as `doctor` tells it.
const fn ini(title: &'static str, ini: &'static str) -> Case {
    Case { title, ini, commands: "lemon-session tables create", needs: Needs::Nothing }
}

/// A mistake in a storage URL.
macro_rules! url {
    ($title:expr, $url:expr) => {
        case($title, concat!("lemon-session stats --storage '", $url, "'"))
    };
}

pub const SECTIONS: &[Section] = &[
    Section {
        title: "Commands and flags",
        cases: &[
            case("A command that does not exist", "lemon-session server visits.wasm"),
            case("No command", "lemon-session --log-level debug"),
            case("No application", "lemon-session serve"),
            case("A flag that does not exist", "lemon-session serve visits.wasm --prot 8081"),
            case("A flag without its value", "lemon-session list --owner"),
            case("A flag twice", "lemon-session list --owner alice --owner bob"),
            case("An address without a port", "lemon-session serve visits.wasm --addr 127.0.0.1"),
            case("A name as the address", "lemon-session serve visits.wasm --addr localhost:8081"),
            case("A number that is too small", "lemon-session serve visits.wasm --reuse 0"),
            case("Not a number", "lemon-session list --limit many"),
            case("A word that is not one of the choices", "lemon-session list --sort age"),
            case("A log level that does not exist", "lemon-session stats --log-level verbose"),
            case("A log format that does not exist", "lemon-session stats --log-format xml"),
            case("Flags that exclude each other", "lemon-session list --all --limit 5"),
            case("A page of a list that is sorted otherwise", "lemon-session list --sort size --after 0123abcd"),
            case("A mount without a path", "lemon-session serve --mount visits.wasm"),
            case("A mount on a relative path", "lemon-session serve --mount shop=visits.wasm"),
            case("Two mounts on one path", "lemon-session serve --mount /shop=visits.wasm --mount /shop=page.wasm"),
            case("A batch of nothing", "lemon-session cleanup --batch 0"),
            case("A shell that is not known", "lemon-session completions cmd"),
            case("A manual page that does not exist", "lemon-session man lemon.conf"),
            case("A move without a target", "lemon-session move --from sqlite:sessions.db"),
            case("A move to the same store", "lemon-session move --from sqlite:sessions.db --to sqlite:sessions.db"),
            case("No file to write to", "lemon-session compose visits.wasm"),
            case("A table name with a space", "lemon-session stats --table 'my sessions'"),
            case(
                "A table name that is too long",
                "lemon-session stats --table a23456789012345678901234567890123456789012345678901",
            ),
        ],
    },
    Section {
        title: "Applications",
        cases: &[
            case("A file that does not exist", "lemon-session serve visit.wasm"),
            case("A folder", "lemon-session serve ."),
            case("A text file", "lemon-session serve notes.txt"),
            case("An empty file", ": > empty.wasm\nlemon-session serve empty.wasm"),
            case("A file that was cut short", "head -c 5000 visits.wasm > half.wasm\nlemon-session serve half.wasm"),
            case("A core module", "lemon-session serve core.wasm"),
            case("A component of another version of WASI", "lemon-session serve newer.wasm"),
            case("The session component itself", "lemon-session serve session.wasm"),
            case("A provider", "lemon-session serve store.wasm"),
            case("A module", "lemon-session serve login.wasm"),
            case("An application without the module that it needs", "lemon-session serve page.wasm"),
            case(
                "A module that the application does not use",
                "lemon-session compose visits.wasm --with login.wasm -o site.wasm",
            ),
            case("CGI without a web server", "lemon-session cgi notes.txt"),
            case("A cache that is a file", "lemon-session serve core.wasm --cache notes.txt"),
        ],
    },
    Section {
        title: "Joining components",
        cases: &[
            case("A component without sessions", "lemon-session compose newer.wasm -o site.wasm"),
            case("A core module", "lemon-session compose core.wasm -o site.wasm"),
            case("A text file", "lemon-session compose notes.txt -o site.wasm"),
            case("A provider that does not exist", "lemon-session compose visits.wasm --provider mysql -o site.wasm"),
            case(
                "A component that is not a provider",
                "lemon-session compose visits.wasm --provider login.wasm -o site.wasm",
            ),
            case("A provider that is a core module", "lemon-session component --provider core.wasm -o site.wasm"),
            case(
                "An application that was joined already",
                "lemon-session compose visits.wasm -o site.wasm\nlemon-session compose site.wasm -o again.wasm",
            ),
            case("A folder that does not exist", "lemon-session component -o dist/session.wasm"),
        ],
    },
    Section {
        title: "Ports and permissions",
        cases: &[
            case("A port that another program listens on", "lemon-session serve visits.wasm --addr 127.0.0.1:8080"),
            case(
                "The same for the state of the server",
                "lemon-session serve visits.wasm --addr 127.0.0.1:0 --admin-addr 127.0.0.1:8080",
            ),
            case("An address of another machine", "lemon-session serve visits.wasm --addr 192.0.2.1:8080"),
            Case {
                needs: Needs::NoRights,
                ..case(
                    "A folder that this user may not write to",
                    "lemon-session tables create --storage sqlite:sessions.db",
                )
            },
            Case {
                needs: Needs::NoRights,
                ..case(
                    "A folder for files that this user may not write to",
                    "lemon-session tables create --storage files:sessions",
                )
            },
            Case {
                needs: Needs::NoRights,
                ..case("A file that this user may not write", "lemon-session component -o session.wasm")
            },
            Case {
                needs: Needs::NoRights,
                ..case("A file that this user may not read", "lemon-session stats --config /etc/shadow")
            },
            case(
                "A journal that cannot be written",
                "lemon-session move --from memory: --to sqlite:sessions.db --journal /no/such/journal",
            ),
        ],
    },
    Section {
        title: "Storage URLs",
        cases: &[
            url!("A scheme with a mistake", "sqlit:sessions.db"),
            url!("A scheme that is not known", "mongodb://127.0.0.1/sessions"),
            url!("A path without a scheme", "sessions.db"),
            url!("SQLite with slashes", "sqlite://sessions.db"),
            url!("SQLite without a path", "sqlite:"),
            url!("SQLite in memory", "sqlite::memory:"),
            url!("A folder in place of a database", "sqlite:."),
            url!("A folder that does not exist", "sqlite:no/such/sessions.db"),
            url!("A file that is no database", "sqlite:notes.txt"),
            url!("A parameter in the URL of SQLite", "sqlite:sessions.db?synchronous=FULL"),
            url!("Files without a directory", "files:"),
            url!("Files with slashes", "files:///var/lib/sessions"),
            url!("Files with a parameter that does not exist", "files:sessions?sync=on"),
            url!("Memory, with a name", "memory:sessions"),
            url!("No host", "postgres:///shop"),
            url!("No user", "postgres://127.0.0.1/shop"),
            url!("No database", "postgres://lemon@127.0.0.1/"),
            url!("A port that is not a number", "postgres://lemon:hunter2@127.0.0.1:many/shop"),
            url!("A parameter with a mistake", "postgres://lemon@127.0.0.1/shop?poolsize=5"),
            url!("A parameter that does not exist", "postgres://lemon@127.0.0.1/shop?colour=red"),
            url!("A parameter that is too large", "postgres://lemon@127.0.0.1/shop?pool-size=99999"),
            url!("A time without a unit that is known", "mysql://lemon@127.0.0.1/shop?timeout=soon"),
            url!("A mode of TLS that does not exist", "mysql://lemon@127.0.0.1/shop?sslmode=yes"),
            url!("A parameter twice", "mysql://lemon@127.0.0.1/shop?timeout=5&timeout=6"),
            url!("A password that is not encoded", "mysql://lemon:a/b@127.0.0.1/shop"),
            url!(
                "A file of a password that does not exist",
                "mysql://lemon@127.0.0.1/shop?password-file=/no/such/file"
            ),
            url!("A password in a variable that is not set", "mysql://lemon@127.0.0.1/shop?password-env=SHOP_PASSWORD"),
            url!("A PostgreSQL that does not run", "postgres://lemon:hunter2@127.0.0.1:1/shop"),
            url!("A MySQL that does not run", "mysql://lemon:hunter2@127.0.0.1:1/shop"),
            url!("A Redis that does not run", "redis://127.0.0.1:1/"),
            url!("A host that does not exist", "postgres://lemon:hunter2@db.invalid/shop"),
            url!("A database of Redis that is not a number", "redis://127.0.0.1/shop"),
            url!("A user of Redis without a password", "redis://lemon@127.0.0.1/"),
            url!("A parameter in the URL of Redis", "redis://127.0.0.1/?timeout=5"),
            url!("Sentinels without the name of the primary", "redis+sentinel://127.0.0.1/"),
            url!("A store as a component that does not exist", "component:no.wasm"),
            url!("A store that is no component", "component:notes.txt"),
            url!("A store that is an application", "component:visits.wasm"),
            url!("An option of a component that does not exist", "component:store.wasm?folder=sessions"),
            url!("A component without the directory that it needs", "component:store.wasm"),
            Case {
                needs: POSTGRES,
                ..url!("A database that does not exist", "postgres://postgres@127.0.0.1:5432/no_such_shop")
            },
            Case {
                needs: POSTGRES,
                ..case(
                    "Tables that do not exist in PostgreSQL",
                    "lemon-session stats --storage postgres://postgres@127.0.0.1:5432/postgres --table No_such",
                )
            },
            Case {
                needs: MYSQL,
                ..url!("A user of MySQL that does not exist", "mysql://nobody:hunter2@127.0.0.1:3306/test")
            },
            Case {
                needs: MYSQL,
                ..url!("A database of MySQL that does not exist", "mysql://root@127.0.0.1:3306/no_such_shop")
            },
            Case { needs: MYSQL, ..url!("A MySQL that is a PostgreSQL", "mysql://root@127.0.0.1:5432/test") },
            Case {
                needs: REDIS,
                ..case(
                    "Tables that do not exist in Redis",
                    "lemon-session stats --storage redis://127.0.0.1:6379/15 --table No_such",
                )
            },
            Case {
                needs: REDIS,
                ..url!("A password that Redis does not know", "redis://lemon:hunter2@127.0.0.1:6379/15")
            },
            Case { needs: REDIS, ..url!("TLS with a Redis that has none", "rediss://127.0.0.1:6379/15") },
            Case { needs: REDIS, ..url!("A server that is not a cluster", "redis+cluster://127.0.0.1:6379/") },
        ],
    },
    Section {
        title: "Tables",
        cases: &[
            case("Tables that do not exist", "lemon-session list"),
            case("The same, asked for", "lemon-session tables check --storage sqlite:shop.db --table Basket"),
            case(
                "Tables of a newer version",
                "lemon-session tables create\nsqlite3 sessions.db 'UPDATE Session_meta SET version = 99'\nlemon-session list",
            ),
            case(
                "Creating tables that are newer",
                "lemon-session tables create\nsqlite3 sessions.db 'UPDATE Session_meta SET version = 99'\nlemon-session tables create",
            ),
            case(
                "Tables that were changed",
                "lemon-session tables create\nsqlite3 sessions.db 'DROP INDEX Session_owner'\nlemon-session tables check",
            ),
            case(
                "A table of another program",
                "sqlite3 sessions.db 'CREATE TABLE Session (sid TEXT, sess TEXT)'\nlemon-session tables create",
            ),
            case(
                "Dropping a table of another program",
                "sqlite3 sessions.db 'CREATE TABLE Session (sid TEXT, sess TEXT)'\nlemon-session tables drop --yes",
            ),
            case(
                "Serving on a table of another program",
                "sqlite3 sessions.db 'CREATE TABLE Session (sid TEXT, sess TEXT)'\nlemon-session serve visits.wasm",
            ),
            case("Dropping tables without a confirmation", "lemon-session tables create\nlemon-session tables drop"),
            case("A name that SQLite reserves", "lemon-session tables create --table sqlite_sessions"),
        ],
    },
    Section {
        title: "Sessions",
        cases: &[
            case("A digest that is too short", "lemon-session show 3f2a"),
            case("A text that is not a digest", "lemon-session show sessions"),
            case("A session that does not exist", "lemon-session tables create\nlemon-session show 3f2a91c0"),
            case(
                "Ending a session that does not exist",
                "lemon-session tables create\nlemon-session destroy 3f2a91c0 --yes",
            ),
            case("Ending nothing", "lemon-session destroy"),
            case("Ending one session and all of an owner", "lemon-session destroy 3f2a91c0 --owner alice"),
            case("Sparing a session of no owner", "lemon-session destroy --except 3f2a91c0"),
            case(
                "Sparing a session that does not exist",
                "lemon-session tables create\nlemon-session destroy --owner alice --except 3f2a91c0 --yes",
            ),
            case(
                "Ending sessions without a confirmation",
                "lemon-session tables create\nlemon-session destroy --owner alice",
            ),
            case(
                "A next page after a session that does not exist",
                "lemon-session tables create\nlemon-session list --after 3f2a91c0",
            ),
        ],
    },
    Section {
        title: "lemon.ini",
        cases: &[
            case("A file that does not exist", "lemon-session stats --config lemno.ini"),
            ini("A key with a mistake", "[session]\nexpiers = 30m\n"),
            ini("A key of another section", "[session]\nsecure = on\n"),
            ini("A section with a mistake", "[sesion]\nexpires = 30m\n"),
            ini("A section that does not exist", "[database]\nurl = sqlite:sessions.db\n"),
            ini("A key before the first section", "expires = 30m\n"),
            ini("A line without a value", "[session]\nexpires = 30m\nlazy\nstrict = true\n"),
            ini("A section that is not closed", "# Ours.\n\n[session\nexpires = 30m\n"),
            ini("A key without a name", "[session]\n= 30m\n"),
            ini("A key twice", "[session]\nexpires = 30m\nlazy = true\nexpires = 1h\n"),
            ini("A time without a unit that is known", "[session]\nexpires = 30 minutes\n"),
            ini("A time that is negative", "[session]\nexpires = -1\n"),
            ini("A time of nothing", "[session]\nexpires = 0\n"),
            ini("A session that lasts longer than it may", "[session]\nexpires = 2d\nmax-lifetime = 1d\n"),
            ini("A part that is more than the whole", "[session]\nexpires = 30m\ntouch-after = 1h\n"),
            ini(
                "A grace that is longer than the time between rotations",
                "[session]\nrenew-after = 1m\nrenew-grace = 5m\n",
            ),
            ini("A word that is neither true nor false", "[session]\nlazy = maybe\n"),
            ini("A text that is not a probability", "[session]\ncleanup = often\n"),
            ini("A probability above 1", "[session]\ncleanup = 5\n"),
            ini("A name of an application that cannot name a cookie", "[session]\napp = my shop\n"),
            ini("A word that is not one of the choices", "[session.cookie]\nsame-site = relaxed\n"),
            ini("A cookie for all sites that is not secure", "[session.cookie]\nsame-site = none\n"),
            ini(
                "A name that promises what the cookie does not have",
                "[session.cookie]\nname = __Host-shop\npath = /shop\n",
            ),
            ini("A name of a cookie that is impossible", "[session.cookie]\nname = my shop\n"),
            ini("A path of a cookie that is relative", "[session.cookie]\npath = shop\n"),
            ini("A domain of a cookie that is impossible", "[session.cookie]\ndomain = https://example.org\n"),
            ini("A size without a unit that is known", "[session.limits]\nvalue-bytes = 1 GB\n"),
            ini("A value that is larger than its session", "[session.limits]\nvalue-bytes = 8M\n"),
            ini("A session that is too large", "[session.limits]\nsession-bytes = 1024M\n"),
            ini("A name that is too long", "[session.limits]\nkey-length = 1000\n"),
            ini("A secret in place of its hash", "[session.reserved]\nauth = hunter3\n"),
            ini("A right that does not exist", "[session]\nmanager = everything\n"),
            ini("A right of an application that is not mounted on a path", "[session.manager]\nshop = all\n"),
            ini("A table that is impossible", "[storage]\ntable = my-sessions\n"),
            ini("A store without a URL", "[storage.archive]\ntable = Archive\n"),
            ini("A store without a name", "[storage.]\nurl = memory:\n"),
            ini("A scheme with a mistake", "[storage]\ntable = Session\nurl = sqlit:sessions.db\n"),
            ini("An option with a mistake", "[storage]\nurl = sqlite:sessions.db\nbusy-timout = 5s\n"),
            ini("An option of another store", "[storage]\nurl = sqlite:sessions.db\npool-size = 5\n"),
            ini(
                "A value of an option that is none of the choices",
                "[storage]\nurl = sqlite:sessions.db\nsynchronous = off\n",
            ),
            Case {
                commands: "lemon-session stats --storage archiv",
                ..ini("A name of a store with a mistake", "[storage.archive]\nurl = sqlite:archive.db\n")
            },
            ini("An address without a port", "[server]\naddr = localhost\n"),
            ini("A number that is too large", "[server]\nin-flight = 100000\n"),
            ini("A time that is too long", "[server]\nrequest-time = 30d\n"),
            ini("Memory that is too small", "[server]\nmemory = 64K\n"),
            ini("A host with a scheme", "[server]\nhosts = https://example.org\n"),
            ini("A path that can be read as another one", "[server]\nsame-origin = on\ncross-site = /hooks/..\n"),
            ini("A proxy by its name", "[server]\ntrusted-proxies = proxy.example.org\n"),
            ini(
                "Several mistakes",
                "[session]\nexpires = soon\ncleanup = 2\n[cookie]\nsecure = on\n[server]\nprot = 80\n",
            ),
            Case {
                commands: "lemon-session doctor | grep FAIL",
                ..ini(
                    "The same, as the doctor tells it",
                    "[session]\nexpires = soon\ncleanup = 2\n[cookie]\nsecure = on\n",
                )
            },
        ],
    },
    Section {
        title: "Doctor",
        cases: &[Case {
            commands: "lemon-session doctor --storage postgres://lemon:hunter2@127.0.0.1:1/shop | grep FAIL",
            ..case("A store that does not run", "")
        }],
    },
];
