package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
)

// ErrClosed says that the monitor's connection has ended.
var ErrClosed = errors.New("the monitor's connection is closed")

// Error is a refusal by QEMU.
type Error struct {
	Class       string `json:"class"`
	Description string `json:"desc"`
}

// Error is QEMU's own description.
func (e *Error) Error() string { return e.Description }

// Event is a message that QEMU sends by itself.
type Event struct {
	Name      string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	Timestamp struct {
		Seconds int64 `json:"seconds"`
	} `json:"timestamp"`
}

// Client is one connection to a monitor. It is safe for concurrent use; commands take turns.
type Client struct {
	conn    net.Conn
	turn    sync.Mutex
	replies chan reply
	events  chan Event
	done    chan struct{}
}

type command struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
}

type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *Error          `json:"error"`
}

type message struct {
	reply
	Event
	Greeting json.RawMessage `json:"QMP"`
}

// eventsKept is how many unread events a client keeps; more are dropped, state is always asked again.
const eventsKept = 64

// Dial connects to the monitor at path and negotiates its capabilities.
func Dial(ctx context.Context, path string) (*Client, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("connect to monitor %s: %w", path, err)
	}
	c := &Client{
		conn: conn, replies: make(chan reply, 1), events: make(chan Event, eventsKept), done: make(chan struct{}),
	}
	go c.read()
	if err := c.Do(ctx, "qmp_capabilities", nil, nil); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("negotiate with monitor %s: %w", path, err)
	}
	return c, nil
}

// Events are QEMU's own messages. The channel is never closed; Done tells the end.
func (c *Client) Events() <-chan Event { return c.events }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the connection.
func (c *Client) Close() error {
	if err := c.conn.Close(); err != nil {
		return fmt.Errorf("close monitor: %w", err)
	}
	return nil
}

// Do runs a command and decodes its answer into result, which may be nil.
func (c *Client) Do(ctx context.Context, name string, arguments, result any) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.conn.SetWriteDeadline(deadline)
	}
	if err := c.send(command{Execute: name, Arguments: arguments}); err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	answer, err := c.receive(ctx)
	if err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return fmt.Errorf("read the answer to %s: %w", name, err)
	}
	return nil
}

func (c *Client) send(cmd command) error {
	line, err := json.Marshal(cmd)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by Do
	}
	_, err = c.conn.Write(append(line, '\n'))
	return err //nolint:wrapcheck // wrapped by Do
}

// receive waits for the answer. A caller that gives up closes the connection: the late answer would belong to nobody.
func (c *Client) receive(ctx context.Context) (json.RawMessage, error) {
	select {
	case r := <-c.replies:
		if r.Error != nil {
			return nil, r.Error
		}
		return r.Return, nil
	case <-c.done:
		return nil, ErrClosed
	case <-ctx.Done():
		_ = c.conn.Close()
		return nil, ctx.Err() //nolint:wrapcheck // wrapped by Do
	}
}

func (c *Client) read() {
	defer close(c.done)
	decoder := json.NewDecoder(bufio.NewReader(c.conn))
	for {
		var m message
		if err := decoder.Decode(&m); err != nil {
			_ = c.conn.Close()
			return
		}
		switch {
		case m.Name != "":
			c.keep(m.Event)
		case m.Greeting == nil:
			c.answer(m.reply)
		}
	}
}

func (c *Client) keep(e Event) {
	select {
	case c.events <- e:
	default:
	}
}

// answer hands a reply to the command under way. There is one at most, so that the buffer is empty; a reply that nobody
// asked for is dropped.
func (c *Client) answer(r reply) {
	select {
	case c.replies <- r:
	default:
	}
}
