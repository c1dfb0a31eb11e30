-- Layout 2: a session is ended on a condition, an owner's sessions in batches, and a cleanup reports whether rows are
-- left.
DROP FUNCTION "{table}_destroy"(bytea, bigint, bigint);

-- `of_expired`: only a session that has expired. `of_owner`: only a live session of this owner.
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

DROP FUNCTION "{table}_destroy_owned"(bytea, bytea, bigint, bigint);

-- One batch: an owner's live sessions whose digests follow `after`, in the order of digests, without the one whose id
-- is `spared` and those whose id is greater than `newest`. Returns how many it found, how many of them it ended, and
-- the last digest.
CREATE FUNCTION "{table}_destroy_owned"(
    of_owner bytea, spared bigint, newest bigint, after bytea, most bigint, moment bigint, known_until bigint,
    OUT seen bigint, OUT done bigint, OUT last bytea
) LANGUAGE plpgsql AS $$
DECLARE
    owned bigint[];
    digests bytea[];
    these bigint[];
BEGIN
    SELECT array_agg(o.id), array_agg(o.digest ORDER BY o.digest) INTO owned, digests FROM (
        SELECT s.id, s.digest FROM "{table}" s
        WHERE s.owner = of_owner AND s.digest > after AND NOT s.ended AND s.expires > moment
        AND s.id <= newest AND s.id IS DISTINCT FROM spared
        ORDER BY s.digest LIMIT most
    ) o;
    seen := coalesce(cardinality(owned), 0);
    last := digests[cardinality(digests)];
    -- All calls lock in this order, so that there is no deadlock.
    these := ARRAY(
        SELECT s.id FROM "{table}" s
        WHERE s.id = ANY (owned) AND s.owner = of_owner AND NOT s.ended AND s.expires > moment
        ORDER BY s.id FOR UPDATE
    );
    DELETE FROM "{table}_variable" v WHERE v.session = ANY (these);
    IF known_until > moment THEN
        UPDATE "{table}" s SET ended = true, expires = known_until, owner = NULL WHERE s.id = ANY (these);
    ELSE
        DELETE FROM "{table}" s WHERE s.id = ANY (these);
    END IF;
    done := cardinality(these);
END
$$;

DROP FUNCTION "{table}_cleanup"(bigint, bigint);

-- One batch. Skips rows that others have locked: they are being saved, or removed by another cleanup. Returns how many
-- it removed, and whether there are more.
CREATE FUNCTION "{table}_cleanup"(moment bigint, most bigint, OUT removed bigint, OUT has_more boolean)
LANGUAGE plpgsql AS $$
DECLARE
    these bigint[];
BEGIN
    these := ARRAY(
        SELECT s.id FROM "{table}" s WHERE s.expires <= moment ORDER BY s.expires LIMIT most FOR UPDATE SKIP LOCKED
    );
    DELETE FROM "{table}_variable" v WHERE v.session = ANY (these);
    DELETE FROM "{table}" s WHERE s.id = ANY (these);
    removed := cardinality(these);
    has_more := EXISTS (SELECT 1 FROM "{table}" s WHERE s.expires <= moment);
END
$$;
