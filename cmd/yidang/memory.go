package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much garbage may lie beside what is in use. Go's own 100 doubles the memory of a server whose caches are
// full; half as much costs a few per cent of its processor time under load.
const gcPercent = 50

// thrift sets it, unless the environment says otherwise: GOGC and GOMEMLIMIT mean what they mean to any Go program.
func thrift() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
