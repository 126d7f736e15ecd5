package guest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// agent is a scripted guest agent. It says stale first, as one that still answers an earlier peer.
func agent(t *testing.T, stale string, answers map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a")
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
		_, _ = conn.Write([]byte(stale))
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			var question struct {
				Execute   string
				Arguments struct{ ID int64 }
			}
			_ = json.Unmarshal(bytes.TrimLeft(lines.Bytes(), "\xff"), &question)
			if question.Execute == "guest-sync-delimited" {
				_, _ = fmt.Fprintf(conn, "\xff{\"return\": %d}\n", question.Arguments.ID)
				continue
			}
			_, _ = conn.Write([]byte(answers[question.Execute] + "\n"))
		}
	}()
	return path
}

func TestAskPutsTheAnswersTogether(t *testing.T) {
	path := agent(t, "{\"return\": \"late\"}\n\xff{\"return\": 1}\n", map[string]string{
		"guest-info":                   `{"return": {"version": "7.2"}}`,
		"guest-get-host-name":          `{"return": {"host-name": "web"}}`,
		"guest-get-osinfo":             `{"error": {"class": "CommandNotFound", "desc": "disabled"}}`,
		"guest-network-get-interfaces": `{"return": [{"name": "eth0", "hardware-address": "52:54:00:00:00:01", "ip-addresses": [{"ip-address": "10.0.0.2", "ip-address-type": "ipv4", "prefix": 24}]}]}`,
	})
	got, err := Ask(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	want := Info{AgentVersion: "7.2", Hostname: "web", Interfaces: []Interface{
		{Name: "eth0", MAC: "52:54:00:00:00:01", Addresses: []Address{{IP: "10.0.0.2", Type: "ipv4"}}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}

func TestAskFailsWithoutAnAgent(t *testing.T) {
	if _, err := Ask(context.Background(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("an agent that is not there has answered")
	}
}
