-- Layout 1 of the tables "{table}" in SQLite. schema.rs says what each is for.
CREATE TABLE "{table}" (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    accessed INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    ends INTEGER,
    renewed INTEGER NOT NULL,
    owner TEXT,
    version INTEGER NOT NULL,
    size INTEGER NOT NULL
) STRICT;
CREATE INDEX "{table}_expires" ON "{table}" (expires);
CREATE INDEX "{table}_owner" ON "{table}" (owner, key) WHERE owner IS NOT NULL;

CREATE TABLE "{table}_variable" (
    session INTEGER NOT NULL,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    large INTEGER,      -- the row of the value, if it is long,
    bytes INTEGER,      -- and how long it is
    value BLOB,
    PRIMARY KEY (session, app, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE "{table}_large" (
    id INTEGER PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE "{table}_former" (
    key BLOB PRIMARY KEY,
    session INTEGER,    -- the session it leads to,
    until INTEGER,      -- until when,
    nonce BLOB,         -- and the nonce of its grace
    forget INTEGER NOT NULL,
    reused INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX "{table}_former_forget" ON "{table}_former" (forget);
CREATE INDEX "{table}_former_session" ON "{table}_former" (session) WHERE session IS NOT NULL;
