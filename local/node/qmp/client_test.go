package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"testing"
)

// monitor is a scripted QEMU: it greets, then answers each command by its name.
func monitor(t *testing.T, answers map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write([]byte(`{"QMP": {"version": {}, "capabilities": []}}` + "\n"))
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			var cmd command
			_ = json.Unmarshal(lines.Bytes(), &cmd)
			answer, ok := answers[cmd.Execute]
			if !ok {
				answer = `{"return": {}}`
			}
			if answer == "hang up" {
				return
			}
			_, _ = conn.Write([]byte(answer + "\n"))
		}
	}()
	return path
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDoDecodesTheAnswerPastEvents(t *testing.T) {
	event := `{"timestamp": {"seconds": 5}, "event": "RESET", "data": {"guest": true}}`
	c := dial(t, monitor(t, map[string]string{"query-status": event + "\n" + `{"return": {"status": "running"}}`}))

	var got struct{ Status string }
	if err := c.Do(context.Background(), "query-status", nil, &got); err != nil {
		t.Fatal(err)
	}
	if got.Status != "running" {
		t.Errorf("status %q, want running", got.Status)
	}
	if e := <-c.Events(); e.Name != "RESET" || e.Timestamp.Seconds != 5 {
		t.Errorf("event %+v, want RESET at 5", e)
	}
}

func TestDoReportsARefusal(t *testing.T) {
	c := dial(t, monitor(t, map[string]string{"block_resize": `{"error": {"class": "GenericError", "desc": "no such node"}}`}))

	err := c.Do(context.Background(), "block_resize", nil, nil)

	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Description != "no such node" {
		t.Errorf("error %v, want QEMU's refusal", err)
	}
}

func TestDoneTellsThatTheMonitorHasGone(t *testing.T) {
	c := dial(t, monitor(t, map[string]string{"quit": "hang up"}))

	err := c.Do(context.Background(), "quit", nil, nil)

	if !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	<-c.Done()
}

func TestAnAbandonedCommandClosesTheConnection(t *testing.T) {
	c := dial(t, monitor(t, map[string]string{"stuck": ""}))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()

	if err := c.Do(ctx, "stuck", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	<-c.Done()
}
