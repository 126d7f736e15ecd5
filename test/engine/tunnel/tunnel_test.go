package tunnel

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// shout answers each line in capitals and says at the end how many there were.
func shout(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := 0
				for scanner := bufio.NewScanner(conn); scanner.Scan(); lines++ {
					fmt.Fprintln(conn, strings.ToUpper(scanner.Text()))
				}
				fmt.Fprintln(conn, lines)
			}()
		}
	}()
	return listener.Addr().String()
}

func talk(t *testing.T, conn net.Conn) string {
	t.Helper()
	defer conn.Close()
	fmt.Fprint(conn, "hello\nworld\n")
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

const answer = "HELLO\nWORLD\n2\n"

func TestDialReachesWhatTheTunnelReaches(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { _ = Serve(listener) }()

	conn, err := Dialer(socket)(context.Background(), "tcp", shout(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := talk(t, conn); got != answer {
		t.Errorf("got %q, want %q", got, answer)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := Dial(context.Background(), socket, closed.Addr().String()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a closed port answers %v", err)
	}
}

func TestDialWithoutEngine(t *testing.T) {
	_, err := Dial(context.Background(), filepath.Join(t.TempDir(), "s"), "a:1")
	if err == nil || !strings.Contains(err.Error(), "is it up?") {
		t.Errorf("got %v", err)
	}
}

func TestForward(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	target := shout(t)
	go func() { _ = Forward(listener, target) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := talk(t, conn); got != answer {
		t.Errorf("got %q, want %q", got, answer)
	}
}
