//! The statements of the driver.

use lemon_session_sql::server::Server;

/// The statements, with the name of the table filled in.
pub struct Statements {
    pub load: String,
    pub count_reuse: String,
    pub fetch: String,
    pub create: String,
    pub update: String,
    pub destroy: String,
    pub destroy_scope: String,
    pub expired_owned: String,
    pub destroy_owned: String,
    pub cleanup: String,
    pub count: String,
    pub reused: String,
    pub backlog: String,
    pub list: String,
    pub describe: String,
    pub export: String,
    pub find: String,
    pub clear: String,
    pub replace: String,
    pub write: String,
    pub columns: String,
    pub layout: String,
    pub parts: String,
    pub drop_tables: String,
}

impl Statements {
    pub fn new(server: &Server) -> Self {
        // The session `s` that the digest of row `k` leads to at the time $2.
        let follow = r#""{table}" k LEFT JOIN "{table}" s
            ON s.id = CASE WHEN NOT k.ended THEN k.id WHEN {moment $2} < k.leads_until THEN k.leads_to END
            AND NOT s.ended AND s.expires > {moment $2} AND (NOT k.ended OR s.era = k.leads_era)"#;
        let record = "s.created, s.accessed, s.expires, s.absolute_expiry, s.rotated, s.owner, s.version, s.size";
        // A parameter that is the caller's time stands for the server's where that is earlier: what is live by the
        // server's clock is live for every caller.
        let moment = |text: String, number: u32| {
            let earlier = format!("least(${number}, floor(extract(epoch FROM statement_timestamp()))::bigint)");
            text.replace(&format!("{{moment ${number}}}"), &earlier)
        };
        let sql = |text: &str| {
            let text = text.replace("{follow}", follow).replace("{record}", record);
            server.sql(&[1, 2, 4, 6, 18].into_iter().fold(text, moment))
        };
        Self {
            load: sql(r#"SELECT {record}, s.id IS NOT NULL, k.ended, k.expires <= {moment $2}, k.nonce,
                    v.name, octet_length(v.value)::bigint,
                    CASE WHEN v.app = '' OR octet_length(v.value) <= $4::bigint THEN v.value END, v.app = ''
                FROM {follow} LEFT JOIN "{table}_variable" v ON v.session = s.id AND v.app = ANY (ARRAY[''::bytea, $3])
                WHERE k.digest = $1 ORDER BY v.name"#),
            count_reuse: sql(r#"UPDATE "{table}" SET reused = reused + 1 WHERE digest = $1 AND ended"#),
            fetch: sql(r#"SELECT v.value
                FROM {follow} JOIN "{table}_variable" v ON v.session = s.id AND v.app = $3 AND v.name = $4
                WHERE k.digest = $1"#),
            create: sql(r#"WITH made AS (
                    INSERT INTO "{table}" AS s
                        (digest, created, accessed, expires, absolute_expiry, rotated, owner, version, size)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $12, $8)
                    ON CONFLICT (digest) DO UPDATE SET
                        id = EXCLUDED.id, ended = false, created = EXCLUDED.created, accessed = EXCLUDED.accessed,
                        expires = EXCLUDED.expires, absolute_expiry = EXCLUDED.absolute_expiry,
                        rotated = EXCLUDED.rotated, owner = EXCLUDED.owner, version = EXCLUDED.version,
                        size = EXCLUDED.size, era = 0, leads_to = NULL, leads_era = NULL, leads_until = NULL, nonce = NULL, reused = 0
                    WHERE s.ended AND s.expires <= $13
                    RETURNING s.id
                ), written AS (
                    INSERT INTO "{table}_variable" (session, app, name, value)
                    SELECT made.id, w.* FROM made, unnest($9::bytea[], $10::bytea[], $11::bytea[]) AS w
                )
                SELECT id FROM made"#),
            update: sql(r#"SELECT outcome, number
                FROM "{table}_update"($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, {moment $18})"#),
            destroy: sql(r#"SELECT "{table}_destroy"($1, $2, $3, {moment $4}, {moment $4} + $5)"#),
            destroy_scope: sql(r#"SELECT coalesce((SELECT max(id) FROM "{table}"), 0),
                (SELECT s.id FROM {follow} WHERE k.digest = $1), {moment $2}"#),
            expired_owned: sql(r#"SELECT s.digest FROM "{table}" s
                WHERE s.owner = $1 AND NOT s.ended AND s.expires <= {moment $2} AND s.id <= $3 ORDER BY s.digest LIMIT $4"#),
            destroy_owned: sql(r#"SELECT seen, done, last
                FROM "{table}_destroy_owned"($1, $2, $3, $4, $5, {moment $6}, {moment $6} + $7)"#),
            cleanup: sql(r#"SELECT removed, has_more FROM "{table}_cleanup"({moment $1}, $2)"#),
            count: sql(r#"SELECT count(*) FROM "{table}" WHERE NOT ended AND expires > {moment $1}"#),
            reused: sql(
                r#"SELECT coalesce(sum(reused), 0)::bigint FROM "{table}" WHERE ended AND expires > {moment $1}"#,
            ),
            backlog: sql(r#"SELECT count(*) FROM "{table}" WHERE expires <= {moment $1}"#),
            list: sql(r#"SELECT {record}, s.digest FROM "{table}" s
                WHERE s.digest > $2 AND ($3::bytea IS NULL OR s.owner = $3) AND NOT s.ended AND s.expires > {moment $1}
                ORDER BY s.digest LIMIT $4"#),
            describe: sql(r#"SELECT {record}, v.app, v.name, octet_length(v.value)::bigint
                FROM "{table}" s LEFT JOIN "{table}_variable" v ON v.session = s.id
                WHERE s.digest = $1 AND NOT s.ended AND s.expires > {moment $2} ORDER BY v.app, v.name"#),
            export: sql(r#"SELECT {record}, v.app, v.name, v.value
                FROM "{table}" s LEFT JOIN "{table}_variable" v ON v.session = s.id
                WHERE s.digest = $1 AND NOT s.ended AND s.expires > {moment $2} ORDER BY v.app, v.name"#),
            find: sql(r#"SELECT id FROM "{table}"
                WHERE digest = $1 AND NOT ended AND expires > {moment $2} AND version = $3 FOR UPDATE"#),
            clear: sql(r#"DELETE FROM "{table}_variable" WHERE session = $1"#),
            replace: sql(r#"UPDATE "{table}" SET created = $2, accessed = greatest(accessed, $3),
                expires = least(greatest(expires, $4), $5), absolute_expiry = $5, rotated = $6, owner = $7, version = $8,
                size = $9 WHERE id = $1"#),
            write: sql(r#"INSERT INTO "{table}_variable" (session, app, name, value)
                SELECT $1, w.* FROM unnest($2::bytea[], $3::bytea[], $4::bytea[]) AS w"#),
            columns: sql(
                r#"SELECT t.name_end, a.attname::text FROM unnest(ARRAY['', '_variable', '_meta']) AS t (name_end)
                JOIN pg_attribute a ON a.attrelid = to_regclass('"{table}' || t.name_end || '"')
                AND a.attnum > 0 AND NOT a.attisdropped"#,
            ),
            layout: sql(r#"SELECT layout FROM "{table}_meta""#),
            parts: sql(r#"WITH here AS (
                    SELECT c.oid, c.relname FROM pg_class c WHERE c.oid IN (to_regclass('"{table}"'), to_regclass('"{table}_variable"'))
                )
                SELECT 'column ' || h.relname || '.' || a.attname,
                    format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
                FROM here h JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped
                UNION ALL SELECT 'index ' || c.relname, (
                        SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' ORDER BY n)
                        FROM generate_series(1, i.indnkeyatts) n
                    ) || CASE WHEN i.indisunique THEN ', unique' ELSE '' END || CASE WHEN i.indisvalid THEN '' ELSE ', invalid' END
                FROM here h JOIN pg_index i ON i.indrelid = h.oid JOIN pg_class c ON c.oid = i.indexrelid
                UNION ALL SELECT 'function ' || p.proname, format_type(p.prorettype, NULL)
                FROM pg_proc p WHERE pg_function_is_visible(p.oid)
                AND p.proname IN ('{table}_update', '{table}_destroy', '{table}_destroy_owned', '{table}_cleanup')"#),
            drop_tables: sql(r#"DROP FUNCTION IF EXISTS "{table}_update";
                DROP FUNCTION IF EXISTS "{table}_destroy";
                DROP FUNCTION IF EXISTS "{table}_destroy_owned";
                DROP FUNCTION IF EXISTS "{table}_cleanup";
                DROP TABLE IF EXISTS "{table}";
                DROP TABLE IF EXISTS "{table}_variable";
                DROP TABLE IF EXISTS "{table}_meta""#),
        }
    }
}
