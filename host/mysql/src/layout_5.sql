-- Layout 5: an update can limit how many live sessions the new owner has.
--
-- A row for each of 256 hashes of owners, which a login changes before it counts the sessions of its owner: so logins of one owner
-- take turns. The change is of no other use; on Galera it makes logins through different nodes conflict, which a lock alone would
-- not.
CREATE TABLE IF NOT EXISTS `{table}_login` (
    slot TINYINT UNSIGNED NOT NULL PRIMARY KEY,
    logins BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
//
DROP PROCEDURE IF EXISTS `{table}_update`
//
-- `p_clears`: for each application the length of its name in 4 digits, followed by the name. `p_writes`: for each variable
-- the lengths of application, name and value in 4, 4 and 10 digits, followed by the three; the length
-- -1 removes a variable. `p_lives`: the session's expiry becomes `p_expires`, its absolute expiry `p_absolute_expiry`.
-- Otherwise `p_expires` is its expiry after a use, which only moves to a later time.
-- `p_max_owned`: the most live sessions that a new owner may have.
CREATE PROCEDURE `{table}_update`(
    p_digest BINARY(32), p_expected BIGINT UNSIGNED, p_clears LONGBLOB, p_writes LONGBLOB,
    p_owns BOOLEAN, p_owner VARBINARY(1020), p_expires BIGINT UNSIGNED, p_lives BOOLEAN, p_absolute_expiry BIGINT UNSIGNED,
    p_new_digest BINARY(32), p_leads_until BIGINT UNSIGNED, p_nonce VARBINARY(255), p_known_until BIGINT UNSIGNED,
    p_max_size BIGINT UNSIGNED, p_max_owned BIGINT UNSIGNED, p_now BIGINT UNSIGNED
)
MODIFIES SQL DATA SQL SECURITY INVOKER
whole: BEGIN
    DECLARE v_id, v_version, v_size, v_new_size, v_era, v_owned BIGINT UNSIGNED;
    DECLARE v_at BIGINT UNSIGNED DEFAULT 1;
    DECLARE v_app_length, v_name_length, v_value_length, v_old_length BIGINT;
    DECLARE v_app, v_name, v_owner VARBINARY(1020);
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    IF p_max_owned IS NOT NULL AND p_owner IS NOT NULL THEN
        -- Before the lock on the session's row, in all calls, so that there is no deadlock.
        INSERT INTO `{table}_login` (slot, logins) VALUES (CRC32(p_owner) % 256, 1) ON DUPLICATE KEY UPDATE logins = logins + 1;
    END IF;
    SELECT id, version, size, era, owner INTO v_id, v_version, v_size, v_era, v_owner
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
    IF p_max_owned IS NOT NULL AND p_owner IS NOT NULL AND NOT (v_owner <=> p_owner) THEN
        SELECT COUNT(*) INTO v_owned
        FROM `{table}` WHERE owner = p_owner AND NOT ended AND expires > p_now AND id <> v_id;
        IF v_owned >= p_max_owned THEN
            ROLLBACK;
            SELECT 'too-many-owned', v_owned;
            LEAVE whole;
        END IF;
    END IF;

    IF p_new_digest IS NOT NULL THEN
        IF p_new_digest = p_digest THEN
            SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = 'the new digest of a session is taken';
        END IF;
        DELETE s FROM `{table}` s FORCE INDEX (digest)
        WHERE s.digest = p_new_digest AND s.ended AND s.expires <= p_now;
        IF p_leads_until IS NULL THEN
            SET v_era = v_era + 1;
        END IF;
    END IF;
    IF LENGTH(p_clears) > 0 OR LENGTH(p_writes) > 0 OR p_owns OR p_lives THEN
        SET v_version = v_version + 1;
    END IF;
    UPDATE `{table}` SET
        digest = COALESCE(p_new_digest, digest),
        accessed = GREATEST(accessed, p_now),
        expires = CASE
            WHEN p_lives THEN p_expires
            WHEN p_expires IS NULL THEN expires
            ELSE GREATEST(expires, LEAST(p_expires, COALESCE(absolute_expiry, p_expires)))
        END,
        absolute_expiry = IF(p_lives, p_absolute_expiry, absolute_expiry),
        rotated = IF(p_new_digest IS NULL, rotated, p_now),
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
