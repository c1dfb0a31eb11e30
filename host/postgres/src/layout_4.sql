-- Layout 4: an update can set the lifetime of a session, to end earlier or later than before.
DROP FUNCTION "{table}_update"(
    bytea, bigint, bytea[], bytea[], bytea[], bytea[], boolean, bytea, bigint, bytea, bigint, bytea, bigint, bigint, bigint
);

-- `lives`: the session's expiry becomes `new_expires`, its absolute expiry `new_absolute_expiry`. Otherwise `new_expires` is
-- its expiry after a use, which only moves to a later time.
CREATE FUNCTION "{table}_update"(
    of_digest bytea, expected bigint, clears bytea[], apps bytea[], names bytea[], new_values bytea[],
    owns boolean, new_owner bytea, new_expires bigint, lives boolean, new_absolute_expiry bigint,
    new_digest bytea, new_leads_until bigint, new_nonce bytea, known_until bigint,
    max_size bigint, moment bigint,
    OUT outcome text, OUT number bigint
) LANGUAGE plpgsql AS $$
DECLARE
    this "{table}";
    before bigint := 0;
    after bigint;
    writes boolean := cardinality(clears) > 0 OR cardinality(apps) > 0;
BEGIN
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
        this.size := number;
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
