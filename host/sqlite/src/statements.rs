//! Every statement that is run on the tables.

use lemon_session_store::TableName;

/// The columns of a [`Record`](lemon_session_store::Record) of the session `s`.
const RECORD: &str = "s.created, s.accessed, s.expires, s.absolute_expiry, s.rotated, s.owner, s.version, s.size";

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $sql:literal;)+) => {
        /// The statements, with the names of the tables in them.
        pub struct Statements {
            $($(#[$doc])* pub $name: String,)+
        }

        impl Statements {
            /// The statements on a table.
            pub fn new(table: &TableName) -> Self {
                Self { $($name: $sql.replace("{record}", RECORD).replace("{t}", table.as_str()),)+ }
            }
        }
    };
}

statements! {
    load: r#"SELECT {record}, v.name, v.bytes,
        CASE WHEN v.large IS NULL THEN v.value
             WHEN v.bytes <= ?3 OR v.app = '' THEN (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large) END,
        v.app = ''
        FROM "{t}" s LEFT JOIN "{t}_variable" v ON v.session = s.id AND v.app IN ('', ?2)
        WHERE s.digest = ?1 ORDER BY v.app, v.name"#;
    digest_of: r#"SELECT digest FROM "{t}" WHERE id = ?1"#;
    leads_to: r#"SELECT id FROM "{t}" WHERE digest = ?1
        UNION ALL SELECT session FROM "{t}_tombstone" WHERE digest = ?1 AND session IS NOT NULL AND until > ?2"#;
    owned: r#"SELECT id FROM "{t}" WHERE owner = ?1 AND expires > ?2"#;
    fetch: r#"SELECT coalesce(v.value, (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large))
        FROM "{t}" s JOIN "{t}_variable" v ON v.session = s.id AND v.app = ?2 AND v.name = ?3
        WHERE s.digest = ?1 AND s.expires > ?4"#;
    former: r#"SELECT session, until, nonce, forget FROM "{t}_tombstone" WHERE digest = ?1"#;
    count: r#"SELECT count(*) FROM "{t}" WHERE expires > ?1"#;
    reused: r#"SELECT coalesce(sum(reused), 0) FROM "{t}_tombstone" WHERE forget > ?1"#;
    backlog: r#"SELECT (SELECT count(*) FROM "{t}" WHERE expires <= ?1)
        + (SELECT count(*) FROM "{t}_tombstone" WHERE forget <= ?1)"#;
    list: r#"SELECT {record}, s.digest
        FROM "{t}" s WHERE s.digest > ?1 AND s.expires > ?2 ORDER BY s.digest LIMIT ?3"#;
    list_owned: r#"SELECT {record}, s.digest
        FROM "{t}" s WHERE s.owner = ?4 AND s.digest > ?1 AND s.expires > ?2 ORDER BY s.digest LIMIT ?3"#;
    describe: r#"SELECT {record}, v.app, v.name,
        coalesce(v.bytes, length(v.value))
        FROM "{t}" s LEFT JOIN "{t}_variable" v ON v.session = s.id
        WHERE s.digest = ?1 AND s.expires > ?2 ORDER BY v.app, v.name"#;
    export: r#"SELECT {record}, v.app, v.name,
        coalesce(v.value, (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large))
        FROM "{t}" s LEFT JOIN "{t}_variable" v ON v.session = s.id
        WHERE s.digest = ?1 AND s.expires > ?2 ORDER BY v.app, v.name"#;

    find: r#"SELECT s.id, s.accessed, s.expires, s.absolute_expiry, s.version, s.size
        FROM "{t}" s WHERE s.digest = ?1"#;
    create: r#"INSERT INTO "{t}"
            (digest, created, accessed, expires, absolute_expiry, rotated, owner, version, size)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING"#;
    replace: r#"UPDATE "{t}" SET created = ?2, accessed = max(accessed, ?3), expires = min(max(expires, ?4), coalesce(?5, max(expires, ?4))),
            absolute_expiry = ?5, rotated = ?6, owner = ?7, version = ?8, size = ?9
        WHERE id = ?1"#;
    change: r#"UPDATE "{t}" SET accessed = ?2, version = ?3, size = ?4 WHERE id = ?1"#;
    set_expires: r#"UPDATE "{t}" SET expires = ?2 WHERE id = ?1"#;
    set_lifetime: r#"UPDATE "{t}" SET expires = ?2, absolute_expiry = ?3 WHERE id = ?1"#;
    set_owner: r#"UPDATE "{t}" SET owner = ?2 WHERE id = ?1"#;
    rotation: r#"UPDATE "{t}" SET digest = ?2, rotated = ?3 WHERE id = ?1"#;
    remove: r#"DELETE FROM "{t}" WHERE id = ?1"#;

    old_value: r#"SELECT coalesce(bytes, length(value)), large FROM "{t}_variable"
        WHERE session = ?1 AND app = ?2 AND name = ?3"#;
    write: r#"INSERT INTO "{t}_variable" (session, app, name, value, large, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET value = excluded.value, large = excluded.large, bytes = excluded.bytes"#;
    delete: r#"DELETE FROM "{t}_variable" WHERE session = ?1 AND app = ?2 AND name = ?3"#;
    insert_large: r#"INSERT INTO "{t}_large" (value) VALUES (?1)"#;
    replace_large: r#"UPDATE "{t}_large" SET value = ?2 WHERE id = ?1"#;
    delete_large: r#"DELETE FROM "{t}_large" WHERE id = ?1"#;
    app_size: r#"SELECT coalesce(sum(octet_length(name) + coalesce(bytes, length(value))), 0) FROM "{t}_variable"
        WHERE session = ?1 AND app = ?2"#;
    clear_large: r#"DELETE FROM "{t}_large" WHERE id IN
        (SELECT large FROM "{t}_variable" WHERE session = ?1 AND app = ?2 AND large IS NOT NULL)"#;
    clear: r#"DELETE FROM "{t}_variable" WHERE session = ?1 AND app = ?2"#;
    remove_large: r#"DELETE FROM "{t}_large" WHERE id IN
        (SELECT large FROM "{t}_variable" WHERE session = ?1 AND large IS NOT NULL)"#;
    remove_variables: r#"DELETE FROM "{t}_variable" WHERE session = ?1"#;

    seal: r#"UPDATE "{t}_tombstone" SET session = NULL WHERE session = ?1"#;
    remember: r#"INSERT INTO "{t}_tombstone" (digest, session, until, nonce, forget) VALUES (?1, ?2, ?3, ?4, ?5)"#;
    forget: r#"DELETE FROM "{t}_tombstone" WHERE digest = ?1 AND forget <= ?2"#;
    is_former: r#"SELECT 1 FROM "{t}_tombstone" WHERE digest = ?1"#;
    count_reuse: r#"UPDATE "{t}_tombstone" SET reused = reused + 1 WHERE digest = ?1"#;
    is_owned: r#"SELECT 1 FROM "{t}" WHERE id = ?1 AND owner = ?2"#;
    count_owned: r#"SELECT count(*) FROM "{t}" WHERE owner = ?1 AND expires > ?2"#;
    digest_of_owned: r#"SELECT digest FROM "{t}" WHERE id = ?1 AND owner = ?2 AND expires > ?3"#;
    expired: r#"SELECT id FROM "{t}" WHERE expires <= ?1 LIMIT ?2"#;
    forget_some: r#"DELETE FROM "{t}_tombstone" WHERE digest IN
        (SELECT digest FROM "{t}_tombstone" WHERE forget <= ?1 LIMIT ?2)"#;
}
