-- Layout 2: a session is ended on a condition, an owner's sessions in batches, and a cleanup reports whether rows are
-- left.
DROP PROCEDURE IF EXISTS `{table}_destroy`
//
-- `p_expired`: only a session that has expired. `p_owner`: only a live session of this owner.
CREATE PROCEDURE `{table}_destroy`(
    p_digest BINARY(32), p_expired BOOLEAN, p_owner VARBINARY(1020), p_now BIGINT UNSIGNED, p_known_until BIGINT UNSIGNED
)
MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
    DECLARE v_id BIGINT UNSIGNED;
    DECLARE v_live BOOLEAN DEFAULT FALSE;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    SELECT id, expires > p_now INTO v_id, v_live FROM `{table}`
    WHERE digest = p_digest AND NOT ended AND NOT (p_expired AND expires > p_now)
    AND (p_owner IS NULL OR (owner = p_owner AND expires > p_now)) FOR UPDATE;
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
-- One batch: an owner's live sessions whose digests follow `p_after`, in the order of digests, without the one whose id
-- is `p_spared` and those whose id is greater than `p_newest`. Returns how many it found, how many of them it ended,
-- and the last digest. A session whose digest changes in between is found but not ended.
CREATE PROCEDURE `{table}_destroy_owned`(
    p_owner VARBINARY(1020), p_spared BIGINT UNSIGNED, p_newest BIGINT UNSIGNED, p_after VARBINARY(32),
    p_most BIGINT UNSIGNED, p_now BIGINT UNSIGNED, p_known_until BIGINT UNSIGNED
)
MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
    DECLARE v_digest, v_last BINARY(32);
    DECLARE v_owned, v_id BIGINT UNSIGNED;
    DECLARE v_found, v_ended BIGINT UNSIGNED DEFAULT 0;
    DECLARE v_done BOOLEAN DEFAULT FALSE;
    DECLARE owned CURSOR FOR
        SELECT id, digest FROM `{table}`
        WHERE owner = p_owner AND digest > p_after AND NOT ended AND expires > p_now
        AND id <= p_newest AND NOT (id <=> p_spared)
        ORDER BY digest LIMIT p_most;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_done = TRUE;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    OPEN owned;
    FETCH owned INTO v_owned, v_digest;
    WHILE NOT v_done DO
        SET v_found = v_found + 1;
        SET v_last = v_digest;
        SET v_id = NULL;
        SELECT id INTO v_id FROM `{table}` FORCE INDEX (digest)
        WHERE digest = v_digest AND id = v_owned AND owner = p_owner AND NOT ended AND expires > p_now FOR UPDATE;
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
        FETCH owned INTO v_owned, v_digest;
    END WHILE;
    CLOSE owned;
    COMMIT;
    SELECT v_found, v_ended, v_last;
END
//
DROP PROCEDURE IF EXISTS `{table}_cleanup`
//
-- One batch. Skips rows that others have locked, if the server can: they are being saved, or removed by another
-- cleanup. Returns how many it removed, and whether there are more.
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
    SELECT v_removed, EXISTS (SELECT 1 FROM `{table}` WHERE expires <= p_now);
END
