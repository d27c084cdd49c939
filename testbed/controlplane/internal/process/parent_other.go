//go:build !linux

package process

import "syscall"

// dieWithParent does nothing: only Linux can tie a child to its parent. Elsewhere a supervisor that
// is killed by SIGKILL leaves its children behind; every other end stops them.
func dieWithParent(*syscall.SysProcAttr) {}
