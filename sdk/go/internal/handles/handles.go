// Package handles drops the handles of a request's sessions when the request ends: the garbage collector of Go does not know
// what they hold in the host.
package handles

// A Handle is a resource of a component.
type Handle interface{ Drop() }

// An instance answers one request at a time.
var open []Handle

// Add has DropAll drop a handle.
func Add(handle Handle) {
	open = append(open, handle)
}

// DropAll drops the handles that were added since it was last called, the latest first.
func DropAll() {
	for i := len(open) - 1; i >= 0; i-- {
		open[i].Drop()
	}
	open = nil
}
