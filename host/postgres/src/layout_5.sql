-- Layout 5: an update can limit how many live sessions the new owner has.
DROP FUNCTION "{table}_update"(
    bytea, bigint, bytea[], bytea[], bytea[], bytea[], boolean, bytea, bigint, boolean, bigint, bytea, bigint, bytea, bigint,
    bigint, bigint
);

-- `lives`: the session's expiry becomes `new_expires`, its absolute expiry `new_absolute_expiry`. Otherwise `new_expires` is
-- its expiry after a use, which only moves to a later time. `max_owned`: the most live sessions that a new owner may have.
CREATE FUNCTION "{table}_update"(
    of_digest bytea, expected bigint, clears bytea[], apps bytea[], names bytea[], new_values bytea[],
    owns boolean, new_owner bytea, new_expires bigint, lives boolean, new_absolute_expiry bigint,
    new_digest bytea, new_leads_until bigint, new_nonce bytea, known_until bigint,
    max_size bigint, max_owned bigint, moment bigint,
    OUT outcome text, OUT number bigint
) LANGUAGE plpgsql AS $$
DECLARE
    this "{table}";
    before bigint := 0;
    after bigint;
    size_after bigint;
    writes boolean := cardinality(clears) > 0 OR cardinality(apps) > 0;
BEGIN
    IF max_owned IS NOT NULL AND new_owner IS NOT NULL THEN
        -- Until this transaction ends, no other one counts the sessions of this owner. It is taken before the lock on the row, by
        -- all calls, so that there is no deadlock. Each statement below sees what was committed before it.
        PERFORM pg_advisory_xact_lock(hashtextextended('lemon-session {table} ' || encode(new_owner, 'hex'), 0));
    END IF;
    SELECT s.* INTO this FROM "{table}" s WHERE s.digest = of_digest AND NOT s.ended AND s.expires > moment FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'gone';
        RETURN;
    END IF;
    IF expected <> this.version THEN
        outcome := 'conflict';
        number := this.version;
        RETURN;
    END IF;

    IF writes THEN
        IF cardinality(clears) > 0 THEN
            SELECT coalesce(sum(octet_length(v.name) + octet_length(v.value)), 0) INTO before
            FROM "{table}_variable" v WHERE v.session = this.id AND v.app = ANY (clears);
        END IF;
        SELECT before + coalesce(sum(v.bytes), 0), coalesce(sum(octet_length(w.name) + octet_length(w.value)), 0)
        INTO before, after
        FROM unnest(apps, names, new_values) AS w (app, name, value)
        LEFT JOIN LATERAL (
            SELECT octet_length(v.name) + octet_length(v.value) AS bytes
            FROM "{table}_variable" v
            WHERE v.session = this.id AND v.app = w.app AND v.name = w.name AND v.app <> ALL (clears)
            LIMIT 1
        ) v ON true;
        number := this.size - before + after;
        IF number > this.size AND number > max_size THEN
            outcome := 'too-large';
            RETURN;
        END IF;
        size_after := number;
    END IF;
    IF max_owned IS NOT NULL AND new_owner IS NOT NULL AND this.owner IS DISTINCT FROM new_owner THEN
        SELECT count(*) INTO number FROM "{table}" s
        WHERE s.owner = new_owner AND NOT s.ended AND s.expires > moment AND s.id <> this.id;
        IF number >= max_owned THEN
            outcome := 'too-many-owned';
            RETURN;
        END IF;
    END IF;

    IF writes THEN
        IF cardinality(clears) > 0 THEN
            DELETE FROM "{table}_variable" v WHERE v.session = this.id AND v.app = ANY (clears);
        END IF;
        IF array_position(new_values, NULL) IS NOT NULL THEN
            DELETE FROM "{table}_variable" v USING unnest(apps, names, new_values) AS w (app, name, value)
            WHERE w.value IS NULL AND v.session = this.id AND v.app = w.app AND v.name = w.name;
        END IF;
        INSERT INTO "{table}_variable" (session, app, name, value)
        SELECT this.id, w.app, w.name, w.value FROM unnest(apps, names, new_values) AS w (app, name, value)
        WHERE w.value IS NOT NULL
        ON CONFLICT (session, app, name) DO UPDATE SET value = EXCLUDED.value;
        this.size := size_after;
    END IF;

    IF writes OR owns OR lives THEN
        this.version := this.version + 1;
    END IF;
    IF owns THEN
        this.owner := new_owner;
    END IF;
    IF lives THEN
        this.expires := new_expires;
        this.absolute_expiry := new_absolute_expiry;
    ELSIF new_expires IS NOT NULL THEN
        -- least() ignores an `absolute_expiry` that is null.
        this.expires := greatest(this.expires, least(new_expires, this.absolute_expiry));
    END IF;
    IF new_digest IS NOT NULL THEN
        IF new_digest = of_digest THEN
            RAISE unique_violation USING MESSAGE = 'the new digest of a session is taken';
        END IF;
        DELETE FROM "{table}" s WHERE s.digest = new_digest AND s.ended AND s.expires <= moment;
        this.digest := new_digest;
        this.rotated := moment;
        IF new_leads_until IS NULL THEN
            this.era := this.era + 1;
        END IF;
    END IF;
    UPDATE "{table}" s SET
        digest = this.digest, accessed = greatest(s.accessed, moment), expires = this.expires,
        absolute_expiry = this.absolute_expiry, rotated = this.rotated, owner = this.owner, version = this.version,
        size = this.size, era = this.era
    WHERE s.id = this.id;
    IF new_digest IS NOT NULL AND known_until > moment THEN
        INSERT INTO "{table}" (digest, ended, expires, leads_to, leads_era, leads_until, nonce)
        VALUES (of_digest, true, known_until, this.id, this.era, new_leads_until, new_nonce);
    END IF;
    outcome := 'committed';
    number := this.version;
END
$$;
