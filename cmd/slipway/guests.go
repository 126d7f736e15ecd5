package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/platform"
)

// guests follows the running guests of this machine: what they write to their
// serial lines, and when they begin to answer SSH.
type guests struct {
	c        *connection
	running  map[string]*guest
	answered chan string
}

// guest is one running instance, known by its UID.
type guest struct {
	name   string
	log    string
	offset int64
	stop   context.CancelFunc
}

func newGuests(c *connection) *guests {
	return &guests{c: c, running: map[string]*guest{}, answered: make(chan string, 16)}
}

// update looks which guests run now.
func (g *guests) update(ctx context.Context) error {
	list := &virtv1.VirtualMachineInstanceList{}
	if err := g.c.reader.List(ctx, list, client.InNamespace(g.c.namespace)); err != nil {
		return fmt.Errorf("list instances: %w", err)
	}
	present := map[string]bool{}
	for i := range list.Items {
		vmi := &list.Items[i]
		present[string(vmi.UID)] = true
		if address := vmi.Annotations[instance.SSHAnnotation]; address != "" && g.running[string(vmi.UID)] == nil {
			g.running[string(vmi.UID)] = g.follow(ctx, vmi, address)
		}
	}
	for uid, known := range g.running {
		if !present[uid] {
			known.stop()
			delete(g.running, uid)
		}
	}
	return nil
}

func (g *guests) follow(ctx context.Context, vmi *virtv1.VirtualMachineInstance, address string) *guest {
	ctx, stop := context.WithCancel(ctx)
	name := vmi.Name
	go func() {
		if waitBanner(ctx, address) {
			g.answered <- name + " answers SSH; log in with: slipway ssh " + name
		}
	}()
	return &guest{name: name, log: platform.ConsoleLog(vmi), stop: stop}
}

// waitBanner waits until an SSH server greets at the address. QEMU takes the
// connection before the guest is up, so only the greeting counts.
func waitBanner(ctx context.Context, address string) bool {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		if greets(ctx, address) {
			return true
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return false
		}
	}
}

func greets(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return false
	}
	greeting := make([]byte, len("SSH-"))
	_, err = io.ReadFull(conn, greeting)
	return err == nil && string(greeting) == "SSH-"
}

// lines are what guests wrote, and who began to answer, since the last call.
func (g *guests) lines() []string {
	var lines []string
	for _, known := range g.running {
		for _, line := range known.written() {
			lines = append(lines, known.name+" | "+line)
		}
	}
	for {
		select {
		case line := <-g.answered:
			lines = append(lines, line)
		default:
			return lines
		}
	}
}

// written reads the whole lines that the guest added to its serial log.
func (g *guest) written() []string {
	file, err := os.Open(g.log)
	if err != nil {
		return nil
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() < g.offset {
		g.offset = 0 // the log was begun anew
	}
	const atOnce = 64 << 10
	text, err := io.ReadAll(io.NewSectionReader(file, g.offset, atOnce))
	end := bytes.LastIndexByte(text, '\n')
	if end < 0 && len(text) == atOnce {
		end = len(text) - 1 // a line that does not end in reason
	}
	if err != nil || end < 0 {
		return nil
	}
	g.offset += int64(end) + 1
	var lines []string
	for line := range strings.Lines(string(text[:end+1])) {
		if line = printable(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
