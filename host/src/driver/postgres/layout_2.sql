-- Layout 2: a session is ended on a condition, and a former key spares the session it leads to.
DROP FUNCTION "{table}_destroy"(bytea, bigint, bigint);

-- `of_expired`: only one that has expired. `of_owner`: only a live one of this owner.
CREATE FUNCTION "{table}_destroy"(
    of_digest bytea, of_expired boolean, of_owner bytea, moment bigint, known_until bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    this bigint;
    live boolean;
BEGIN
    SELECT s.id, s.expires > moment INTO this, live FROM "{table}" s
    WHERE s.digest = of_digest AND NOT s.ended AND NOT (of_expired AND s.expires > moment)
    AND (of_owner IS NULL OR (s.owner = of_owner AND s.expires > moment)) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM "{table}_variable" v WHERE v.session = this;
    IF live AND known_until > moment THEN
        UPDATE "{table}" s SET ended = true, expires = known_until, owner = NULL WHERE s.id = this;
    ELSE
        DELETE FROM "{table}" s WHERE s.id = this;
    END IF;
    RETURN live;
END
$$;

CREATE OR REPLACE FUNCTION "{table}_destroy_owned"(of_owner bytea, excepted bytea, moment bigint, known_until bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    spared bigint;
    these bigint[];
BEGIN
    SELECT s.id INTO spared FROM "{table}" k JOIN "{table}" s
    ON s.id = CASE WHEN NOT k.ended THEN k.id WHEN moment < k.leads_until THEN k.leads_to END
    AND NOT s.ended AND (NOT k.ended OR s.era = k.leads_era)
    WHERE k.digest = excepted;
    -- Everybody locks in this order, so that nobody waits in a circle.
    these := ARRAY(
        SELECT s.id FROM "{table}" s
        WHERE s.owner = of_owner AND NOT s.ended AND s.expires > moment AND s.id IS DISTINCT FROM spared
        ORDER BY s.id FOR UPDATE
    );
    DELETE FROM "{table}_variable" v WHERE v.session = ANY (these);
    IF known_until > moment THEN
        UPDATE "{table}" s SET ended = true, expires = known_until, owner = NULL WHERE s.id = ANY (these);
    ELSE
        DELETE FROM "{table}" s WHERE s.id = ANY (these);
    END IF;
    RETURN cardinality(these);
END
$$;
