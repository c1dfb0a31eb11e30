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
    pub list_owned: String,
    pub describe: String,
    pub export: String,
    pub forget: String,
    pub insert: String,
    pub find: String,
    pub clear: String,
    pub replace: String,
    pub write: String,
    pub columns: String,
    pub layout: String,
    pub parts: String,
    pub drop_tables: Vec<String>,
}

impl Statements {
    pub fn new(server: &Server) -> Self {
        // A parameter: the caller's time, or the server's where that is earlier. What is live by the server's clock is
        // live for every caller.
        let moment = "LEAST(?, CAST(UNIX_TIMESTAMP() AS UNSIGNED))";
        // The session `s` that the digest of row `k` leads to. Both parameters are the time.
        let follow = "`{table}` k LEFT JOIN `{table}` s
            ON s.id = CASE WHEN NOT k.ended THEN k.id WHEN k.leads_until > {moment} THEN k.leads_to END
            AND NOT s.ended AND s.expires > {moment} AND (NOT k.ended OR s.era = k.leads_era)";
        let record = "s.created, s.accessed, s.expires, s.absolute_expiry, s.rotated, s.owner, s.version, s.size";
        let sql = |text: &str| {
            let text = text.replace("{follow}", follow).replace("{record}", record);
            server.sql(&text.replace("{moment}", moment))
        };
        let drop = [
            "TABLE IF EXISTS `{table}_meta`",
            "PROCEDURE IF EXISTS `{table}_create`",
            "PROCEDURE IF EXISTS `{table}_update`",
            "PROCEDURE IF EXISTS `{table}_destroy`",
            "PROCEDURE IF EXISTS `{table}_destroy_owned`",
            "PROCEDURE IF EXISTS `{table}_cleanup`",
            "TABLE IF EXISTS `{table}`",
            "TABLE IF EXISTS `{table}_variable`",
            "TABLE IF EXISTS `{table}_login`",
        ];
        Self {
            load: sql("SELECT {record}, s.id IS NOT NULL, k.ended, k.expires <= {moment}, k.nonce,
                    v.name, LENGTH(v.value), CASE WHEN v.app = '' OR LENGTH(v.value) <= ? THEN v.value END, v.app = ''
                FROM {follow} LEFT JOIN `{table}_variable` v ON v.session = s.id AND v.app IN ('', ?)
                WHERE k.digest = ?"),
            count_reuse: sql("UPDATE `{table}` SET reused = reused + 1 WHERE digest = ? AND ended"),
            fetch: sql("SELECT v.value
                FROM {follow} JOIN `{table}_variable` v ON v.session = s.id AND v.app = ? AND v.name = ?
                WHERE k.digest = ?"),
            create: sql("CALL `{table}_create`(?, ?, ?, ?, ?, ?, ?, ?, ?)"),
            update: sql("CALL `{table}_update`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {moment})"),
            destroy: sql("CALL `{table}_destroy`(?, ?, ?, {moment}, {moment} + ?)"),
            destroy_scope: sql("SELECT COALESCE((SELECT MAX(id) FROM `{table}`), 0),
                (SELECT s.id FROM {follow} WHERE k.digest = ?), {moment}"),
            expired_owned: sql("SELECT s.digest FROM `{table}` s
                WHERE s.owner = ? AND NOT s.ended AND s.expires <= {moment} AND s.id <= ? ORDER BY s.digest LIMIT ?"),
            destroy_owned: sql("CALL `{table}_destroy_owned`(?, ?, ?, ?, ?, {moment}, {moment} + ?)"),
            cleanup: sql("CALL `{table}_cleanup`({moment}, ?)"),
            count: sql("SELECT COUNT(*) FROM `{table}` WHERE NOT ended AND expires > {moment}"),
            reused: sql("SELECT CAST(COALESCE(SUM(reused), 0) AS UNSIGNED) FROM `{table}` WHERE ended AND expires > {moment}"),
            backlog: sql("SELECT COUNT(*) FROM `{table}` WHERE expires <= {moment}"),
            list: sql("SELECT {record}, s.digest FROM `{table}` s
                WHERE NOT s.ended AND s.expires > {moment} AND s.digest > ? ORDER BY s.digest LIMIT ?"),
            list_owned: sql("SELECT {record}, s.digest FROM `{table}` s
                WHERE NOT s.ended AND s.expires > {moment} AND s.digest > ? AND s.owner = ? ORDER BY s.digest LIMIT ?"),
            describe: sql("SELECT {record}, v.app, v.name, LENGTH(v.value)
                FROM `{table}` s LEFT JOIN `{table}_variable` v ON v.session = s.id
                WHERE s.digest = ? AND NOT s.ended AND s.expires > {moment}"),
            export: sql("SELECT {record}, v.app, v.name, v.value
                FROM `{table}` s LEFT JOIN `{table}_variable` v ON v.session = s.id
                WHERE s.digest = ? AND NOT s.ended AND s.expires > {moment}"),
            forget: sql("DELETE s FROM `{table}` s FORCE INDEX (digest)
                WHERE s.digest = ? AND s.ended AND s.expires <= ?"),
            insert: sql(
                "INSERT INTO `{table}`
                    (created, accessed, absolute_expiry, expires, rotated, owner, version, size, digest)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ),
            find: sql("SELECT id FROM `{table}` FORCE INDEX (digest)
                WHERE digest = ? AND NOT ended AND expires > {moment} AND version = ? FOR UPDATE"),
            clear: sql("DELETE FROM `{table}_variable` WHERE session = ?"),
            // Assignments are made from left to right.
            replace: sql("UPDATE `{table}` SET created = ?, accessed = GREATEST(accessed, ?), absolute_expiry = ?,
                expires = LEAST(GREATEST(expires, ?), COALESCE(absolute_expiry, 18446744073709551615)), rotated = ?, owner = ?, version = ?, size = ?
                WHERE id = ?"),
            write: sql("INSERT INTO `{table}_variable` (session, app, name, value) VALUES (?, ?, ?, ?)"),
            columns: sql("SELECT LOWER(SUBSTRING(table_name, CHAR_LENGTH('{table}') + 1)), LOWER(column_name)
                FROM information_schema.columns
                WHERE table_schema = DATABASE() AND table_name IN ('{table}', '{table}_variable', '{table}_login', '{table}_meta')
                AND (@@lower_case_table_names <> 0
                    OR BINARY table_name IN ('{table}', '{table}_variable', '{table}_login', '{table}_meta'))"),
            layout: sql("SELECT layout FROM `{table}_meta`"),
            // MySQL 8 reports no display width of integers, other servers do.
            parts: sql("SELECT CONCAT('column ', table_name, '.', column_name), CONCAT(
                    REGEXP_REPLACE(column_type, 'int[(][0-9]+[)]', 'int'),
                    COALESCE(CONCAT(' collate ', collation_name), ''), IF(is_nullable = 'NO', ' not null', ''))
                FROM information_schema.columns
                WHERE table_schema = DATABASE() AND table_name IN ('{table}', '{table}_variable', '{table}_login')
                UNION ALL SELECT CONCAT('engine ', table_name), engine FROM information_schema.tables
                WHERE table_schema = DATABASE() AND table_name IN ('{table}', '{table}_variable', '{table}_login')
                UNION ALL SELECT CONCAT('index ', table_name, '.', index_name), CONCAT(
                    GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR ', '), IF(MIN(non_unique), '', ', unique'))
                FROM information_schema.statistics
                WHERE table_schema = DATABASE() AND table_name IN ('{table}', '{table}_variable', '{table}_login')
                GROUP BY table_name, index_name
                UNION ALL SELECT CONCAT('procedure ', routine_name), LOWER(routine_type) FROM information_schema.routines
                WHERE routine_schema = DATABASE() AND routine_name IN ('{table}_create', '{table}_update',
                    '{table}_destroy', '{table}_destroy_owned', '{table}_cleanup')"),
            drop_tables: drop.iter().map(|what| sql(&format!("DROP {what}"))).collect(),
        }
    }
}
