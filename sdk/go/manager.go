package sessions

import (
	"errors"
	"iter"
	"time"

	bindings "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_manager"
	lemon "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_types"
	types "github.com/lemon-session/lemon-session/sdk/go/wit/types"
)

// A Manager manages tables and the sessions of all visitors. Its zero value manages those in the host's default store.
//
// The host's configuration grants each application a set of these methods: by default List, Get and Destroy with an owner,
// and DestroyOwned. Every other call returns [ErrDenied].
type Manager struct {
	// Storage is the name of the store in the host's configuration.
	Storage string
	// Table is the table that holds the sessions.
	Table string
}

// An Entry is a stored session without its variables.
type Entry struct {
	Digest   string
	Created  time.Time
	Accessed time.Time
	Expires  time.Time
	// Owner is "" for a session that has none.
	Owner string
	// Size is that of all names and values of its variables, in bytes.
	Size uint64
	// AuthenticatedAt is when its owner last logged in; zero if nobody has. This and the following are told by Get, and by
	// List of one owner.
	AuthenticatedAt time.Time
	// Method is how its owner logged in, or "".
	Method string
	// Label is what its owner calls it, or "".
	Label string
	// Address is the client's address when it began or its owner logged in, or "" if the site does not keep it.
	Address string
	// UserAgent is that of the client then, or "" if the site does not keep it.
	UserAgent string
}

// CreateTables creates the tables or migrates those of an older version.
func (m Manager) CreateTables() error {
	return m.tables(bindings.CreateTables)
}

// DropTables removes the tables with all their sessions.
func (m Manager) DropTables() error {
	return m.tables(bindings.DropTables)
}

// tables joins the errors of a function that returns several.
func (m Manager) tables(call func(lemon.Location) types.Result[types.Unit, []lemon.Error]) error {
	location, err := m.location()
	if err != nil {
		return err
	}
	result := call(location)
	if result.IsOk() {
		return nil
	}
	var all []error
	for _, one := range result.Err() {
		all = append(all, errorOf(one))
	}
	return errors.Join(all...)
}

// TablesExist returns whether the tables exist.
func (m Manager) TablesExist() (bool, error) {
	location, err := m.location()
	if err != nil {
		return false, err
	}
	return unwrap(bindings.TablesExist(location))
}

// Cleanup removes at most limit expired sessions and returns their number.
func (m Manager) Cleanup(limit uint32) (uint32, error) {
	location, err := m.location()
	if err != nil {
		return 0, err
	}
	return unwrap(bindings.Cleanup(location, limit))
}

// Count returns the number of live sessions.
func (m Manager) Count() (uint64, error) {
	location, err := m.location()
	if err != nil {
		return 0, err
	}
	return unwrap(bindings.Count(location))
}

// List yields the live sessions of an owner; with "", all. It stops after an error.
func (m Manager) List(owner string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		location, err := m.location()
		if err == nil {
			err = wellFormed("an owner", owner)
		}
		for after := types.None[string](); err == nil; {
			var page bindings.Page
			if page, err = unwrap(bindings.List(location, some(owner), after, 1000)); err != nil {
				break
			}
			for _, one := range page.Entries {
				if !yield(entryOf(one), nil) {
					return
				}
			}
			if after = page.Next; after.IsNone() {
				return
			}
		}
		yield(Entry{}, err)
	}
}

func entryOf(one bindings.Entry) Entry {
	return Entry{
		one.Digest, at(one.Created), at(one.Accessed), at(one.Expires), one.Owner.SomeOr(""), one.Size,
		atIfAny(one.AuthenticatedAt), one.Method.SomeOr(""), one.Label.SomeOr(""), one.Address.SomeOr(""), one.UserAgent.SomeOr(""),
	}
}

// Get returns the live session with a digest, provided that it belongs to the owner if one is given; false if there is none.
func (m Manager) Get(digest, owner string) (Entry, bool, error) {
	location, err := m.location()
	if err == nil {
		err = errors.Join(wellFormed("a digest", digest), wellFormed("an owner", owner))
	}
	if err != nil {
		return Entry{}, false, err
	}
	found, err := unwrap(bindings.Get(location, digest, some(owner)))
	if err != nil || found.IsNone() {
		return Entry{}, false, err
	}
	return entryOf(found.Some()), true, nil
}

// Destroy ends the session with a digest, provided that it belongs to the owner if one is given. Returns whether a live
// session was ended.
func (m Manager) Destroy(digest, owner string) (bool, error) {
	location, err := m.location()
	if err := errors.Join(err, wellFormed("a digest", digest), wellFormed("an owner", owner)); err != nil {
		return false, err
	}
	return unwrap(bindings.Destroy(location, digest, some(owner)))
}

// DestroyOwned ends all sessions of an owner except the one with a digest, if given, and returns their number.
func (m Manager) DestroyOwned(owner, except string) (uint64, error) {
	location, err := m.location()
	if err := errors.Join(err, wellFormed("an owner", owner), wellFormed("a digest", except)); err != nil {
		return 0, err
	}
	return unwrap(bindings.DestroyOwned(location, owner, some(except)))
}

func (m Manager) location() (lemon.Location, error) {
	var c checker
	location := lemon.Location{Storage: c.text("Storage", m.Storage), Table: c.text("Table", m.Table)}
	return location, c.err
}
