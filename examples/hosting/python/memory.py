"""`lemon:session/storage` in memory: the whole contract in the plainest way, for hosts to start from.

wasmtime-py names the fields of records as the WIT does, `max-size`, and has `Variant` for cases that types do not tell apart.
"""

from wasmtime.component import Variant

OK = lambda tag, payload=None: Variant('ok', Variant(tag, payload))


class Record:
    """Any record of the WIT."""

    def __init__(self, fields):
        self.__dict__.update(fields)


def fields(record):
    return dict(vars(record))


def size_of(variables):
    return sum(len(name.encode()) + len(value) for own in variables.values() for name, value in own.items())


class Session:
    def __init__(self, digest, record, variables):
        self.digest, self.record, self.variables = digest, record, variables

    def live(self, now):
        return now < self.record['expires']

    def of(self, app):
        own = self.variables.get(app, {})
        return [Record({'name': name, 'value': own[name]}) for name in sorted(own, key=str.encode)]


class Tombstone:
    def __init__(self, expires, leads=None, until=0, nonce=None):
        self.expires, self.leads, self.until, self.nonce = expires, leads, until, nonce


class Memory:
    def __init__(self):
        self.entries = {}

    def load(self, location, digest, app, now, inline_bytes):
        entry = self.entries.get(digest)
        session = self._follow(entry, now)
        if session:
            # The application with the empty name has the details, and no variables.
            details, variables = session.of(''), session.of(app) if app else []
            renewal = entry.nonce if isinstance(entry, Tombstone) else None
            return OK('found', Record({'record': Record(session.record), 'details': details, 'variables': variables,
                                       'renewal': renewal}))
        if entry is None or (isinstance(entry, Tombstone) and entry.expires <= now):
            return OK('absent')
        return OK('expired' if isinstance(entry, Session) else 'ended')

    def fetch(self, location, digest, app, name, now):
        session = self._follow(self.entries.get(digest), now)
        return session.variables.get(app, {}).get(name) if session else None

    def create(self, location, digest, record, writes):
        if self._is_taken(digest, record.accessed):
            return 'exists'
        variables = {}
        self._write(variables, writes)
        record = {**fields(record), 'version': 1, 'size': size_of(variables)}
        self.entries[digest] = Session(digest, record, variables)
        return 'created'

    def update(self, location, digest, change, expected, now):
        session = self._live(digest, now)
        if not session:
            return OK('gone')
        before, change = session.record, fields(change)
        if expected is not None and expected != before['version']:
            return OK('conflict', before['version'])

        variables = {app: dict(own) for app, own in session.variables.items() if app not in change['clears']}
        self._write(variables, change['writes'])
        size = size_of(variables)
        if size > before['size'] and size > change['max-size']:
            return OK('too-large', size)
        # `owner` is an option of an option: whether it changes, and whether there is one.
        changes_owner = change['owner'].tag == 'some'
        owner = change['owner'].payload if changes_owner else before['owner']
        if owner not in (None, before['owner']) and change['max-owned'] is not None:
            others = sum(session.record['owner'] == owner for session in self._sessions(now))
            if others >= change['max-owned']:
                return OK('too-many-owned', others)
        rotation = change['rotation']
        if rotation and self._is_taken(rotation.to, now):
            return Variant('err', Variant('unavailable', 'the new digest of a session is taken'))

        record = {**before, 'owner': owner, 'size': size, 'accessed': max(before['accessed'], now)}
        lifetime = change['lifetime'] and fields(change['lifetime'])
        if change['clears'] or change['writes'] or changes_owner or lifetime:
            record['version'] += 1
        if lifetime:
            end = record['absolute-expiry'] = lifetime['absolute-expiry']
            record['expires'] = lifetime['expires'] if end is None else min(lifetime['expires'], end)
        elif change['expires'] is not None:
            end = change['expires'] if before['absolute-expiry'] is None else before['absolute-expiry']
            record['expires'] = max(before['expires'], min(change['expires'], end))
        session.record, session.variables = record, variables
        if rotation:
            record['rotated'], session.digest = now, rotation.to
            self.entries[rotation.to] = session
            grace = rotation.grace
            if not grace:
                self._seal(session)
            tombstone = Tombstone((grace.until if grace else now) + change['remember'])
            if grace:
                tombstone.leads, tombstone.until, tombstone.nonce = session, grace.until, grace.nonce
            self._bury(digest, tombstone, now)
        return OK('committed', record['version'])

    def destroy(self, location, digest, only, now, remember):
        session = self.entries.get(digest)
        if not isinstance(session, Session):
            return False
        live = session.live(now)
        owned = live and session.record['owner'] == only.payload
        if not {'any': True, 'expired': not live, 'owned': owned}[only.tag]:
            return False
        self._end(session, now + remember if live else now, now)
        return live

    def destroy_owned(self, location, owner, except_, now, remember):
        spared = self._follow(self.entries.get(except_), now) if except_ else None
        owned = [session for session in self._sessions(now) if session.record['owner'] == owner and session is not spared]
        for session in owned:
            self._end(session, now + remember, now)
        return len(owned)

    def cleanup(self, location, now, limit):
        due = [(digest, entry) for digest, entry in self.entries.items()
               if (entry.record['expires'] if isinstance(entry, Session) else entry.expires) <= now][:limit]
        for digest, entry in due:
            if isinstance(entry, Session):
                self._end(entry, now, now)
            else:
                del self.entries[digest]
        return len(due)

    def cleanup_later(self, location, now):
        self.cleanup(location, now, 100)

    def count(self, location, now):
        return len(self._sessions(now))

    def list(self, location, now, owner, after, limit):
        listed = [session for session in self._sessions(now)
                  if owner in (None, session.record['owner']) and (after is None or session.digest > after)]
        listed.sort(key=lambda session: session.digest)
        return [Record({'digest': session.digest, 'record': Record(session.record)}) for session in listed[:limit]]

    # There are no tables: they always exist, and dropping them removes everything.
    def create_tables(self, location):
        pass

    def drop_tables(self, location):
        self.entries.clear()

    def tables_exist(self, location):
        return True

    def _sessions(self, now):
        return [entry for entry in self.entries.values() if isinstance(entry, Session) and entry.live(now)]

    def _live(self, digest, now):
        entry = self.entries.get(digest)
        return entry if isinstance(entry, Session) and entry.live(now) else None

    def _follow(self, entry, now):
        """The live session that a digest means or, within its grace period, leads to."""
        if isinstance(entry, Tombstone):
            entry = entry.leads if now < entry.until else None
        return entry if entry and entry.live(now) else None

    def _is_taken(self, digest, now):
        entry = self.entries.get(digest)
        return isinstance(entry, Session) or (entry is not None and now < entry.expires)

    def _write(self, variables, writes):
        for write in writes:
            own = variables.setdefault(write.app, {})
            if write.value is None:
                own.pop(write.name, None)
            else:
                own[write.name] = write.value

    def _seal(self, session):
        """Former digests lead to this session no more."""
        for entry in self.entries.values():
            if isinstance(entry, Tombstone) and entry.leads is session:
                entry.leads = None

    def _end(self, session, expires, now):
        self._seal(session)
        self._bury(session.digest, Tombstone(expires), now)

    def _bury(self, digest, tombstone, now):
        if now < tombstone.expires:
            self.entries[digest] = tombstone
        else:
            self.entries.pop(digest, None)


def add_storage(linker, store):
    """Gives components this store as `lemon:session/storage`."""
    with linker.root() as root, root.add_instance('lemon:session/storage@0.1.0') as storage:
        for name in ['load', 'fetch', 'create', 'update', 'destroy', 'destroy-owned', 'cleanup', 'cleanup-later', 'count',
                     'list', 'create-tables', 'drop-tables', 'tables-exist']:
            function = getattr(store, name.replace('-', '_'))
            storage.add_func(name, lambda _store, *arguments, function=function: function(*arguments))
