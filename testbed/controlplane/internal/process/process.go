// Package process runs the components of a control plane as child processes.
package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Child is a running process whose output goes to a file.
type Child struct {
	Name    string
	LogPath string
	command *exec.Cmd
	exited  chan struct{}
	failure error // set before exited is closed
}

// Start runs a command in a process group of its own (an interrupt typed at the terminal reaches
// only the supervisor, which then stops its children in order).
//
// On Linux the child is killed when the thread that started it ends, however that happens: call
// Start from a goroutine that is locked to a thread for as long as the program runs.
func Start(name, logPath, executable string, arguments ...string) (*Child, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close() // the child has its own copy

	command := exec.Command(executable, arguments...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(command.SysProcAttr)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	child := &Child{Name: name, LogPath: logPath, command: command, exited: make(chan struct{})}
	go func() {
		child.failure = command.Wait()
		close(child.exited)
	}()
	return child, nil
}

// PID is the child's process id.
func (c *Child) PID() int { return c.command.Process.Pid }

// Exited is closed once the child has ended.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Stop asks the child to end, and kills it when it has not ended within grace. It returns after the
// child has ended.
func (c *Child) Stop(grace time.Duration) {
	// Signals to a process that has ended already fail, and that is fine.
	_ = c.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(grace):
		_ = c.command.Process.Kill()
		<-c.exited
	}
}

// Failure says how the child ended, with the last lines of its log. Call it after Exited.
func (c *Child) Failure() error {
	how := "exited with status 0"
	if c.failure != nil {
		how = c.failure.Error()
	}
	return fmt.Errorf("%s ended by itself (%s)\n%s", c.Name, how, c.Tail())
}

// Tail is the end of the child's log.
func (c *Child) Tail() string {
	const lines = 20
	log, err := os.ReadFile(c.LogPath)
	if err != nil {
		return fmt.Sprintf("its log cannot be read: %v", err)
	}
	all := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	last := all[max(0, len(all)-lines):]
	return fmt.Sprintf("last lines of %s:\n%s", c.LogPath, bytes.Join(last, []byte("\n")))
}
