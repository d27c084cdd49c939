// Package supervisor starts the components of a control plane, waits until it is usable, and stops
// them in order.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"doclusteraccess.dev/testbed/controlplane/internal/process"
)

// readyWithin is how long a start may take, on a slow and busy machine.
const readyWithin = 60 * time.Second

// Options of a control plane. The zero value has no controller manager.
type Options struct {
	Directory                 string   // empty: a temporary one
	TokenWebhookURL           string   // empty: no webhook
	CustomResourceDefinitions []string // files and directories
	ControllerManager         bool
	APIServerPort             int // 0: a free one
	EtcdPort                  int // 0: a free one
}

// Run starts a control plane, announces it on output, and stops it when ctx ends. The error says
// why it did not start, or which component ended by itself.
func Run(ctx context.Context, options Options, output io.Writer) (err error) {
	directory, remove, err := prepareDirectory(options.Directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	layout, err := prepare(directory, options)
	if err != nil {
		return err
	}
	running := &children{}
	defer running.stop()

	if err := bringUp(ctx, layout, options, running); err != nil {
		if ctx.Err() != nil {
			return nil // asked to end before it was ready
		}
		return err
	}
	if err := announce(output, layout, running.started); err != nil {
		return err
	}
	return running.failureUntil(ctx)
}

func bringUp(ctx context.Context, layout layout, options Options, running *children) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, errNotReady)
	defer cancel()
	probe, err := newProbe(layout)
	if err != nil {
		return err
	}

	// The API server waits for etcd by itself.
	if err := running.start(layout.etcd(), layout.apiServer(options.TokenWebhookURL != "")); err != nil {
		return err
	}
	if err := running.wait(ctx, probe, "/readyz", "/api/v1/namespaces/default"); err != nil {
		return err
	}
	for _, path := range options.CustomResourceDefinitions {
		if err := installCustomResourceDefinitions(ctx, layout, path); err != nil {
			return err
		}
	}
	if !options.ControllerManager {
		return nil
	}
	if err := running.start(layout.controllerManager()); err != nil {
		return err
	}
	return running.wait(ctx, probe,
		"/api/v1/namespaces/default/serviceaccounts/default",
		"/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
}

func prepareDirectory(wanted string) (directory string, remove func() error, err error) {
	if wanted == "" {
		directory, err = os.MkdirTemp("", "controlplane-")
		return directory, func() error { return os.RemoveAll(directory) }, err
	}
	directory, err = filepath.Abs(wanted)
	if err != nil {
		return "", nil, err
	}
	return directory, func() error { return nil }, os.MkdirAll(directory, 0o700)
}

// children are the components that run, in the order of their start.
type children struct {
	started []*process.Child
}

func (c *children) start(components ...component) error {
	for _, component := range components {
		child, err := process.Start(component.name, component.log, component.command[0], component.command[1:]...)
		if err != nil {
			return err
		}
		c.started = append(c.started, child)
	}
	return nil
}

// stop ends what depends on others first. Nothing of value is lost when a component is killed, so
// none gets long.
func (c *children) stop() {
	const grace = 500 * time.Millisecond
	for _, child := range slices.Backward(c.started) {
		child.Stop(grace)
	}
}

// failureUntil returns nil when ctx ends, or the failure of the first component that ends before.
func (c *children) failureUntil(ctx context.Context) error {
	ended := make(chan *process.Child, len(c.started))
	for _, child := range c.started {
		go func() {
			<-child.Exited()
			ended <- child
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case child := <-ended:
		return child.Failure()
	}
}

var errNotReady = fmt.Errorf("the control plane was not ready within %s", readyWithin)
