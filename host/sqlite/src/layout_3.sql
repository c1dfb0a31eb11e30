-- Layout 3: what every save changes is back in the row of its session, and names are those of the documentation.
ALTER TABLE "{table}" RENAME COLUMN key TO digest;
ALTER TABLE "{table}" RENAME COLUMN ends TO absolute_expiry;
ALTER TABLE "{table}" RENAME COLUMN renewed TO rotated;
ALTER TABLE "{table}" ADD COLUMN accessed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "{table}" ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "{table}" ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE "{table}" SET accessed = v.accessed, version = v.version, size = v.size
    FROM "{table}_variable" v WHERE v.session = "{table}".id AND v.app = '' AND v.name = '';
DELETE FROM "{table}_variable" WHERE app = '' AND name = '';
ALTER TABLE "{table}_variable" DROP COLUMN accessed;
ALTER TABLE "{table}_variable" DROP COLUMN version;
ALTER TABLE "{table}_variable" DROP COLUMN size;
ALTER TABLE "{table}_former" RENAME TO "{table}_tombstone";
ALTER TABLE "{table}_tombstone" RENAME COLUMN key TO digest;
DROP INDEX "{table}_former_forget";
DROP INDEX "{table}_former_session";
CREATE INDEX "{table}_tombstone_forget" ON "{table}_tombstone" (forget);
CREATE INDEX "{table}_tombstone_session" ON "{table}_tombstone" (session) WHERE session IS NOT NULL;
