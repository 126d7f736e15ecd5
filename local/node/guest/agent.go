package guest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Info is what the agent tells.
type Info struct {
	AgentVersion string
	Hostname     string
	OS           OS
	Interfaces   []Interface
}

// OS is the answer to guest-get-osinfo.
type OS struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	PrettyName    string `json:"pretty-name"`
	Version       string `json:"version"`
	VersionID     string `json:"version-id"`
	KernelRelease string `json:"kernel-release"`
	KernelVersion string `json:"kernel-version"`
	Machine       string `json:"machine"`
}

// Interface is one network interface of the guest.
type Interface struct {
	Name      string    `json:"name"`
	MAC       string    `json:"hardware-address"`
	Addresses []Address `json:"ip-addresses"`
}

// Address is one IP address.
type Address struct {
	IP   string `json:"ip-address"`
	Type string `json:"ip-address-type"`
}

// ErrRefused says that the agent does not answer a question.
var ErrRefused = errors.New("the guest agent refused")

// timeout bounds one conversation. A busy guest takes its time.
const timeout = 10 * time.Second

// Ask asks all questions. Those that an agent refuses (an administrator may switch commands off) stay empty.
func Ask(ctx context.Context, socket string) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := open(ctx, socket)
	if err != nil {
		return Info{}, fmt.Errorf("ask guest agent: %w", err)
	}
	defer s.conn.Close()
	info, err := s.askAll()
	if err != nil {
		return Info{}, fmt.Errorf("ask guest agent: %w", err)
	}
	return info, nil
}

type session struct {
	conn   net.Conn
	reader *bufio.Reader
}

// open connects and brings both sides in step: an agent may still hold half a question of an earlier peer, and answers
// to it. The delimited sync makes it drop the one and mark where the other ends.
func open(ctx context.Context, socket string) (*session, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by Ask
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // a cancellation is heard at once
	s := &session{conn: conn, reader: bufio.NewReader(conn)}
	if err := s.sync(deadline.UnixNano()); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("synchronize: %w", err)
	}
	return s, nil
}

const sentinel = 0xff

func (s *session) sync(id int64) error {
	id &= 1<<53 - 1 // survives JSON readers that use floats
	question := fmt.Sprintf("{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%d}}\n", id)
	if _, err := s.conn.Write(append([]byte{sentinel}, question...)); err != nil {
		return err //nolint:wrapcheck // wrapped by open
	}
	for {
		if _, err := s.reader.ReadBytes(sentinel); err != nil {
			return err //nolint:wrapcheck // wrapped by open
		}
		var got int64
		if err := s.answer(&got); err == nil && got == id {
			return nil
		} else if isTransport(err) {
			return err
		}
	}
}

func isTransport(err error) bool {
	var network net.Error
	return errors.Is(err, io.EOF) || errors.As(err, &network)
}

func (s *session) askAll() (Info, error) {
	var info Info
	var host struct {
		Name string `json:"host-name"`
	}
	var agent struct {
		Version string `json:"version"`
	}
	for _, question := range []struct {
		name string
		into any
	}{
		{"guest-info", &agent},
		{"guest-get-host-name", &host},
		{"guest-get-osinfo", &info.OS},
		{"guest-network-get-interfaces", &info.Interfaces},
	} {
		if err := s.ask(question.name, question.into); err != nil && !errors.Is(err, ErrRefused) {
			return Info{}, fmt.Errorf("%s: %w", question.name, err)
		}
	}
	info.AgentVersion, info.Hostname = agent.Version, host.Name
	return info, nil
}

func (s *session) ask(name string, into any) error {
	if _, err := fmt.Fprintf(s.conn, "{\"execute\":%q}\n", name); err != nil {
		return err //nolint:wrapcheck // wrapped by Ask
	}
	return s.answer(into)
}

func (s *session) answer(into any) error {
	line, err := s.reader.ReadBytes('\n')
	if err != nil {
		return err //nolint:wrapcheck // wrapped by Ask
	}
	var reply struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Description string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal(line, &reply); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if reply.Error != nil {
		return fmt.Errorf("%w: %s", ErrRefused, reply.Error.Description)
	}
	if err := json.Unmarshal(reply.Return, into); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
