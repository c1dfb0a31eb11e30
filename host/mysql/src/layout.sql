-- Layout 1 of the tables `{table}` in MySQL and MariaDB. Statements contain semicolons, so a line `//` separates them.
--
-- Names and owners are bytes: they are compared as such, with trailing spaces, whatever the collation of the database.
--
-- A change of a session's variables holds the lock on the session's row. So changes of one session run one after the
-- other, and those of different sessions never wait. Every statement finds the row to lock by its digest. Through
-- another index it would lock the row's indexes in another order, which can end in a deadlock.
--
-- A procedure is one transaction. Connections use READ COMMITTED, in which only rows are locked.

-- A row is a session, or the tombstone of an ended digest, which leads to a session during its grace.
--
-- `expires`: when the session expires; of a tombstone, when it is forgotten. `era` counts the id rotations without a
-- grace. A tombstone leads to its session only in the era `leads_era`, so such a rotation ends them all.
CREATE TABLE IF NOT EXISTS `{table}` (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    digest BINARY(32) NOT NULL,
    ended BOOLEAN NOT NULL DEFAULT FALSE,
    created BIGINT UNSIGNED,
    accessed BIGINT UNSIGNED,
    expires BIGINT UNSIGNED NOT NULL,
    ends BIGINT UNSIGNED,
    renewed BIGINT UNSIGNED,
    owner VARBINARY(1020),
    version BIGINT UNSIGNED,
    size BIGINT UNSIGNED,
    era BIGINT UNSIGNED NOT NULL DEFAULT 0,
    leads_to BIGINT UNSIGNED,
    leads_era BIGINT UNSIGNED,
    leads_until BIGINT UNSIGNED,
    nonce VARBINARY(255),
    reused BIGINT UNSIGNED NOT NULL DEFAULT 0,
    UNIQUE KEY digest (digest),
    KEY expires (expires, ended),
    KEY owner (owner, digest)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
//
CREATE TABLE IF NOT EXISTS `{table}_variable` (
    session BIGINT UNSIGNED NOT NULL,
    app VARBINARY(1020) NOT NULL,
    name VARBINARY(1020) NOT NULL,
    value LONGBLOB NOT NULL,
    PRIMARY KEY (session, app, name)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
//
DROP PROCEDURE IF EXISTS `{table}_create`
//
-- `p_writes`: for each variable the lengths of application, name and value in 4, 4 and 10 digits, followed by the
-- three.
CREATE PROCEDURE `{table}_create`(
    p_digest BINARY(32), p_created BIGINT UNSIGNED, p_accessed BIGINT UNSIGNED, p_expires BIGINT UNSIGNED,
    p_ends BIGINT UNSIGNED, p_renewed BIGINT UNSIGNED, p_owner VARBINARY(1020), p_size BIGINT UNSIGNED, p_writes LONGBLOB
)
MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
    DECLARE v_id BIGINT UNSIGNED;
    DECLARE v_at BIGINT UNSIGNED DEFAULT 1;
    DECLARE v_app, v_name, v_value BIGINT;
    DECLARE EXIT HANDLER FOR 1062 BEGIN
        ROLLBACK;
        SELECT FALSE;
    END;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    DELETE s FROM `{table}` s FORCE INDEX (digest)
    WHERE s.digest = p_digest AND s.ended AND s.expires <= p_accessed;
    INSERT INTO `{table}` (digest, created, accessed, expires, ends, renewed, owner, version, size)
    VALUES (p_digest, p_created, p_accessed, p_expires, p_ends, p_renewed, p_owner, 1, p_size);
    SET v_id = LAST_INSERT_ID();
    WHILE v_at <= LENGTH(p_writes) DO
        SET v_app = CAST(SUBSTRING(p_writes, v_at, 4) AS SIGNED);
        SET v_name = CAST(SUBSTRING(p_writes, v_at + 4, 4) AS SIGNED);
        SET v_value = CAST(SUBSTRING(p_writes, v_at + 8, 10) AS SIGNED);
        INSERT INTO `{table}_variable` (session, app, name, value) VALUES (
            v_id, SUBSTRING(p_writes, v_at + 18, v_app), SUBSTRING(p_writes, v_at + 18 + v_app, v_name),
            SUBSTRING(p_writes, v_at + 18 + v_app + v_name, v_value)
        );
        SET v_at = v_at + 18 + v_app + v_name + v_value;
    END WHILE;
    COMMIT;
    SELECT TRUE;
END
//
DROP PROCEDURE IF EXISTS `{table}_update`
//
-- `p_clears`: for each application the length of its name in 4 digits, followed by the name. `p_writes`: as above; the
-- length -1 removes a variable.
CREATE PROCEDURE `{table}_update`(
    p_digest BINARY(32), p_expected BIGINT UNSIGNED, p_clears LONGBLOB, p_writes LONGBLOB,
    p_owns BOOLEAN, p_owner VARBINARY(1020), p_expires BIGINT UNSIGNED,
    p_new_digest BINARY(32), p_leads_until BIGINT UNSIGNED, p_nonce VARBINARY(255), p_known_until BIGINT UNSIGNED,
    p_max_size BIGINT UNSIGNED, p_now BIGINT UNSIGNED
)
MODIFIES SQL DATA SQL SECURITY INVOKER
whole: BEGIN
    DECLARE v_id, v_version, v_size, v_new_size, v_era BIGINT UNSIGNED;
    DECLARE v_at BIGINT UNSIGNED DEFAULT 1;
    DECLARE v_app_length, v_name_length, v_value_length, v_old_length BIGINT;
    DECLARE v_app, v_name VARBINARY(1020);
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    SELECT id, version, size, era INTO v_id, v_version, v_size, v_era
    FROM `{table}` WHERE digest = p_digest AND NOT ended AND expires > p_now FOR UPDATE;
    IF v_id IS NULL THEN
        ROLLBACK;
        SELECT 'gone', 0;
        LEAVE whole;
    END IF;
    IF p_expected <> v_version THEN
        ROLLBACK;
        SELECT 'conflict', v_version;
        LEAVE whole;
    END IF;

    SET v_new_size = v_size;
    WHILE v_at <= LENGTH(p_clears) DO
        SET v_app_length = CAST(SUBSTRING(p_clears, v_at, 4) AS SIGNED);
        SET v_app = SUBSTRING(p_clears, v_at + 4, v_app_length);
        SET v_new_size = v_new_size - (
            SELECT COALESCE(SUM(LENGTH(name) + LENGTH(value)), 0)
            FROM `{table}_variable` WHERE session = v_id AND app = v_app
        );
        DELETE FROM `{table}_variable` WHERE session = v_id AND app = v_app;
        SET v_at = v_at + 4 + v_app_length;
    END WHILE;
    SET v_at = 1;
    WHILE v_at <= LENGTH(p_writes) DO
        SET v_app_length = CAST(SUBSTRING(p_writes, v_at, 4) AS SIGNED);
        SET v_name_length = CAST(SUBSTRING(p_writes, v_at + 4, 4) AS SIGNED);
        SET v_value_length = CAST(SUBSTRING(p_writes, v_at + 8, 10) AS SIGNED);
        SET v_at = v_at + 18;
        SET v_app = SUBSTRING(p_writes, v_at, v_app_length);
        SET v_at = v_at + v_app_length;
        SET v_name = SUBSTRING(p_writes, v_at, v_name_length);
        SET v_at = v_at + v_name_length;
        SET v_old_length = (
            SELECT LENGTH(value) FROM `{table}_variable` WHERE session = v_id AND app = v_app AND name = v_name
        );
        IF v_old_length IS NOT NULL THEN
            SET v_new_size = v_new_size - v_name_length - v_old_length;
        END IF;
        IF v_value_length < 0 THEN
            DELETE FROM `{table}_variable` WHERE session = v_id AND app = v_app AND name = v_name;
        ELSE
            IF v_old_length IS NULL THEN
                INSERT INTO `{table}_variable` (session, app, name, value)
                VALUES (v_id, v_app, v_name, SUBSTRING(p_writes, v_at, v_value_length));
            ELSE
                UPDATE `{table}_variable` SET value = SUBSTRING(p_writes, v_at, v_value_length)
                WHERE session = v_id AND app = v_app AND name = v_name;
            END IF;
            SET v_new_size = v_new_size + v_name_length + v_value_length;
            SET v_at = v_at + v_value_length;
        END IF;
    END WHILE;
    IF v_new_size > v_size AND v_new_size > p_max_size THEN
        ROLLBACK;
        SELECT 'too-large', v_new_size;
        LEAVE whole;
    END IF;

    IF p_new_digest IS NOT NULL THEN
        IF p_new_digest = p_digest THEN
            SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = 'the new key of a session is taken';
        END IF;
        DELETE s FROM `{table}` s FORCE INDEX (digest)
        WHERE s.digest = p_new_digest AND s.ended AND s.expires <= p_now;
        IF p_leads_until IS NULL THEN
            SET v_era = v_era + 1;
        END IF;
    END IF;
    IF LENGTH(p_clears) > 0 OR LENGTH(p_writes) > 0 OR p_owns THEN
        SET v_version = v_version + 1;
    END IF;
    UPDATE `{table}` SET
        digest = COALESCE(p_new_digest, digest),
        accessed = GREATEST(accessed, p_now),
        expires = IF(p_expires IS NULL, expires, GREATEST(expires, LEAST(p_expires, COALESCE(ends, p_expires)))),
        renewed = IF(p_new_digest IS NULL, renewed, p_now),
        owner = IF(p_owns, p_owner, owner),
        version = v_version, size = v_new_size, era = v_era
    WHERE id = v_id;
    IF p_new_digest IS NOT NULL AND p_known_until > p_now THEN
        INSERT INTO `{table}` (digest, ended, expires, leads_to, leads_era, leads_until, nonce)
        VALUES (p_digest, TRUE, p_known_until, v_id, v_era, p_leads_until, p_nonce);
    END IF;
    COMMIT;
    SELECT 'committed', v_version;
END
//
DROP PROCEDURE IF EXISTS `{table}_destroy`
//
CREATE PROCEDURE `{table}_destroy`(p_digest BINARY(32), p_now BIGINT UNSIGNED, p_known_until BIGINT UNSIGNED)
MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
    DECLARE v_id BIGINT UNSIGNED;
    DECLARE v_live BOOLEAN DEFAULT FALSE;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    SELECT id, expires > p_now INTO v_id, v_live FROM `{table}` WHERE digest = p_digest AND NOT ended FOR UPDATE;
    DELETE FROM `{table}_variable` WHERE session = v_id;
    IF v_live AND p_known_until > p_now THEN
        UPDATE `{table}` SET ended = TRUE, expires = p_known_until, owner = NULL WHERE id = v_id;
    ELSE
        DELETE FROM `{table}` WHERE id = v_id;
    END IF;
    COMMIT;
    SELECT v_live;
END
//
DROP PROCEDURE IF EXISTS `{table}_destroy_owned`
//
CREATE PROCEDURE `{table}_destroy_owned`(
    p_owner VARBINARY(1020), p_except BINARY(32), p_now BIGINT UNSIGNED, p_known_until BIGINT UNSIGNED
)
MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
    DECLARE v_digest BINARY(32);
    DECLARE v_id BIGINT UNSIGNED;
    DECLARE v_ended BIGINT UNSIGNED DEFAULT 0;
    DECLARE v_done BOOLEAN DEFAULT FALSE;
    DECLARE owned CURSOR FOR
        SELECT digest FROM `{table}`
        WHERE owner = p_owner AND NOT ended AND expires > p_now AND NOT (digest <=> p_except) ORDER BY digest;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_done = TRUE;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    OPEN owned;
    FETCH owned INTO v_digest;
    WHILE NOT v_done DO
        SET v_id = NULL;
        SELECT id INTO v_id FROM `{table}`
        WHERE digest = v_digest AND owner = p_owner AND NOT ended AND expires > p_now FOR UPDATE;
        IF v_id IS NOT NULL THEN
            DELETE FROM `{table}_variable` WHERE session = v_id;
            IF p_known_until > p_now THEN
                UPDATE `{table}` SET ended = TRUE, expires = p_known_until, owner = NULL WHERE id = v_id;
            ELSE
                DELETE FROM `{table}` WHERE id = v_id;
            END IF;
            SET v_ended = v_ended + 1;
        END IF;
        SET v_done = FALSE;
        FETCH owned INTO v_digest;
    END WHILE;
    CLOSE owned;
    COMMIT;
    SELECT v_ended;
END
//
DROP PROCEDURE IF EXISTS `{table}_cleanup`
//
-- One batch. Skips rows that others have locked, if the server can: they are being saved, or removed by another
-- cleanup.
CREATE PROCEDURE `{table}_cleanup`(p_now BIGINT UNSIGNED, p_most BIGINT UNSIGNED)
MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
    DECLARE v_id BIGINT UNSIGNED;
    DECLARE v_removed BIGINT UNSIGNED DEFAULT 0;
    DECLARE v_done BOOLEAN DEFAULT FALSE;
    DECLARE due CURSOR FOR
        SELECT s.id
        FROM (SELECT digest FROM `{table}` WHERE expires <= p_now ORDER BY expires LIMIT p_most) d
        STRAIGHT_JOIN `{table}` s FORCE INDEX (digest) ON s.digest = d.digest
        WHERE s.expires <= p_now FOR UPDATE {skip locked};
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_done = TRUE;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    OPEN due;
    FETCH due INTO v_id;
    WHILE NOT v_done DO
        DELETE FROM `{table}_variable` WHERE session = v_id;
        DELETE FROM `{table}` WHERE id = v_id;
        SET v_removed = v_removed + 1;
        SET v_done = FALSE;
        FETCH due INTO v_id;
    END WHILE;
    CLOSE due;
    COMMIT;
    SELECT v_removed;
END
