-- Layout 2: a session is ended on a condition, and a former key spares the session it leads to.
DROP PROCEDURE IF EXISTS `{table}_destroy`
//
-- `p_expired`: only one that has expired. `p_owner`: only a live one of this owner.
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
CREATE PROCEDURE `{table}_destroy_owned`(
    p_owner VARBINARY(1020), p_except BINARY(32), p_now BIGINT UNSIGNED, p_known_until BIGINT UNSIGNED
)
MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
    DECLARE v_digest BINARY(32);
    DECLARE v_id, v_spared BIGINT UNSIGNED;
    DECLARE v_ended BIGINT UNSIGNED DEFAULT 0;
    DECLARE v_done BOOLEAN DEFAULT FALSE;
    DECLARE owned CURSOR FOR
        SELECT digest FROM `{table}`
        WHERE owner = p_owner AND NOT ended AND expires > p_now AND NOT (id <=> v_spared) ORDER BY digest;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_done = TRUE;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
        ROLLBACK;
        RESIGNAL;
    END;
    START TRANSACTION;
    SELECT s.id INTO v_spared FROM `{table}` k JOIN `{table}` s
    ON s.id = CASE WHEN NOT k.ended THEN k.id WHEN k.leads_until > p_now THEN k.leads_to END
    AND NOT s.ended AND (NOT k.ended OR s.era = k.leads_era)
    WHERE k.digest = p_except;
    SET v_done = FALSE;
    OPEN owned;
    FETCH owned INTO v_digest;
    WHILE NOT v_done DO
        SET v_id = NULL;
        SELECT id INTO v_id FROM `{table}`
        WHERE digest = v_digest AND owner = p_owner AND NOT ended AND expires > p_now AND NOT (id <=> v_spared) FOR UPDATE;
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
