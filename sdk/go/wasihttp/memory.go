package wasihttp

import (
	"runtime"
	"runtime/debug"
)

// The collector of Go asks for the time. It must not run while the host allocates memory in this component, as calls of the host
// are not allowed then and end the instance. So it runs between requests, and by itself only in a request that needs much.
const (
	garbage = 4 << 20
	much    = 128 << 20
)

func init() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(much)
}

// live is how much memory was in use after the last collection.
var live uint64

// collect runs the collector if there may be enough garbage.
func collect() {
	if inUse() > live+garbage {
		runtime.GC()
		live = inUse()
	}
}

func inUse() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
