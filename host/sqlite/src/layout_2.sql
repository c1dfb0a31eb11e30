-- Layout 2: what every save changes moves to a row before the session's variables.
ALTER TABLE "{table}_variable" ADD COLUMN accessed INTEGER;
ALTER TABLE "{table}_variable" ADD COLUMN version INTEGER;
ALTER TABLE "{table}_variable" ADD COLUMN size INTEGER;
INSERT INTO "{table}_variable" (session, app, name, accessed, version, size)
    SELECT id, '', '', accessed, version, size FROM "{table}";
ALTER TABLE "{table}" DROP COLUMN accessed;
ALTER TABLE "{table}" DROP COLUMN version;
ALTER TABLE "{table}" DROP COLUMN size;
