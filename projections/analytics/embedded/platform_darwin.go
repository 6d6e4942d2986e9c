package embedded

import "syscall"

const libcName = "/usr/lib/libSystem.B.dylib"

// childAttributes keep a terminal's Ctrl-C from the child: the parent ends it in order. There is no Pdeathsig here; the
// pipe alone tells the child that its parent died.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
