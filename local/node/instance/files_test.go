package instance

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestSocketPathsFitTheKernelsLimit(t *testing.T) {
	const uid = "0c6a3e4b-6f0c-4b9c-8b1e-0d2f7a9f0003"
	for _, root := range []string{"/data/node/instances", "/" + strings.Repeat("a-very-long-name/", 20) + "instances"} {
		f := filesOf(root, uid)
		s := f.listen()
		for _, path := range []string{s.Monitor, s.Serial, s.Agent, s.VNC} {
			if len(path) > 100 {
				t.Errorf("%s has %d bytes", path, len(path))
			}
		}
		if f.dir != filepath.Join(root, uid) {
			t.Errorf("files moved to %s", f.dir)
		}
	}
	if filesOf("/"+strings.Repeat("x", 100), "a").sockets == filesOf("/"+strings.Repeat("x", 100), "b").sockets {
		t.Error("two instances share their sockets")
	}
}

func TestSocketsAreNotPutWhereOthersReach(t *testing.T) {
	root := t.TempDir()
	f := filesOf(root, "a")
	if err := f.make(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.sockets, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := f.make(); !errors.Is(err, ErrForeignDirectory) {
		t.Errorf("error %v, want ErrForeignDirectory", err)
	}
}

func TestAMachineKeepsItsPort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports.json")
	first := take(t, file, "shop/web")
	if again := take(t, file, "shop/web"); again != first {
		t.Errorf("port %d after %d, though it was free", again, first)
	}
	if other := take(t, file, "shop/db"); other == first {
		t.Errorf("two machines have port %d", other)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if moved := take(t, file, "shop/web"); moved == first {
		t.Errorf("port %d is taken by somebody else", moved)
	}
}

// take opens the ports anew, as a new process does.
func take(t *testing.T, file, machine string) int {
	t.Helper()
	p, err := openPorts(file)
	if err != nil {
		t.Fatal(err)
	}
	port, err := p.take(machine)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestPullCredentials(t *testing.T) {
	tests := map[string]struct{ config, user, password string }{
		"user and password": {`{"auths":{"h:1":{"username":"u","password":"p"}}}`, "u", "p"},
		"encoded":           {`{"auths":{"h:1":{"auth":"dTpwOng="}}}`, "u", "p:x"},
		"with a scheme":     {`{"auths":{"http://h:1":{"username":"u","password":"p"}}}`, "u", "p"},
		"another registry":  {`{"auths":{"i:1":{"username":"u","password":"p"}}}`, "", ""},
		"not JSON":          {`{`, "", ""},
	}
	for name, tc := range tests {
		if user, password := pullCredentials([]byte(tc.config), "h:1"); user != tc.user || password != tc.password {
			t.Errorf("%s: %q, %q", name, user, password)
		}
	}
}
