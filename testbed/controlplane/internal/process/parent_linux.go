package process

import "syscall"

// dieWithParent makes the kernel kill the child when its parent ends, even by SIGKILL.
func dieWithParent(attributes *syscall.SysProcAttr) {
	attributes.Pdeathsig = syscall.SIGKILL
}
