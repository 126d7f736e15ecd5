package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
)

// errStopSlow is a component that did not end within its time.
var errStopSlow = errors.New("did not stop in time")

// component is a server that runs in this process until it is stopped.
type component struct {
	name   string
	cancel context.CancelFunc
	// done is closed when run has returned; err is valid from then on.
	done chan struct{}
	err  error
}

// launch runs a component on a context of its own, so that components can be
// stopped one after the other.
func launch(name string, run func(context.Context) error) *component {
	ctx, cancel := context.WithCancel(context.Background())
	c := &component{name: name, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = run(ctx)
	}()
	return c
}

// ended tells why a component ended that was not asked to.
func (c *component) ended() error {
	if c.err == nil {
		return fmt.Errorf("%s ended unexpectedly", c.name)
	}
	return fmt.Errorf("run %s: %w", c.name, c.err)
}

// stop asks the component to end and waits for it.
func (c *component) stop(grace time.Duration) error {
	c.cancel()
	select {
	case <-c.done:
		return nil
	case <-time.After(grace):
		return fmt.Errorf("stop %s: %w (%s)", c.name, errStopSlow, grace)
	}
}

// parse gives a component its flags, as its own command line would.
func parse(name string, named cliflag.NamedFlagSets, args []string) error {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, set := range named.FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	return nil
}
