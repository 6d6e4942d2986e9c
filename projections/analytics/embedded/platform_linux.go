package embedded

import "syscall"

const libcName = "libc.so.6"

// childAttributes make the kernel end the child with its parent, and keep a terminal's Ctrl-C from it: the parent ends it
// in order. Pdeathsig follows the *thread* that started the child, which is why run locks its thread.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
