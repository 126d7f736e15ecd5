package platform

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
)

func TestOnePlatformHoldsADataDirectory(t *testing.T) {
	l := Layout{Root: t.TempDir()}
	if err := l.make(); err != nil {
		t.Fatal(err)
	}
	if _, runs := RunningPID(l); runs {
		t.Fatal("a new directory is said to be in use")
	}
	held, err := lock(l)
	if err != nil {
		t.Fatal(err)
	}
	if pid, runs := RunningPID(l); !runs || pid != os.Getpid() {
		t.Errorf("held by %d (%t), want this process", pid, runs)
	}
	if _, err := lock(l); !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), "slipway down") {
		t.Errorf("second lock: %v, want ErrRunning with the remedy", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if _, runs := RunningPID(l); runs {
		t.Error("a released directory is said to be in use, though its file still names a process")
	}
}

func TestEgress(t *testing.T) {
	p := &Platform{options: Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")}}}
	for address, want := range map[string]bool{"127.0.0.1": true, "::1": true, "169.254.1.1": true, "100.100.100.200": false, "fe80::1": false, "192.0.2.1": true} {
		if got := p.egress().Check(netip.MustParseAddr(address)) == nil; got != want {
			t.Errorf("%s allowed %t, want %t", address, got, want)
		}
	}
}

func TestAddressesAreRemembered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "address")
	first, err := stableAddress(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := stableAddress(file)
	if err != nil {
		t.Fatal(err)
	}
	if first != again {
		t.Errorf("second address %s, want %s", again, first)
	}
	taken, err := net.Listen("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other, err := stableAddress(file)
	if err != nil {
		t.Fatal(err)
	}
	if other == first {
		t.Errorf("address %s is taken and was given all the same", first)
	}
}

func TestTheSSHKeyIsMadeOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "id")
	first, err := sshKey(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sshKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if first != again {
		t.Error("the second call made another key")
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(first)); err != nil {
		t.Errorf("not a line of authorized_keys: %v", err)
	}
	if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sshKey(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("broken key: %v, want an error that names the file", err)
	}
}

func TestTheGitLoginIsMadeOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := gitLogin(file)
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := first.Password(); len(password) < 20 {
		t.Errorf("password %q can be guessed", password)
	}
	again, err := gitLogin(file)
	if err != nil {
		t.Fatal(err)
	}
	if first.String() != again.String() {
		t.Error("the second call made another password")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file of the password: %v, %v; want one that nobody else reads", info.Mode(), err)
	}
}

func TestAddressesOfAPlatformAreReadBack(t *testing.T) {
	l := Layout{Root: t.TempDir()}
	if err := l.make(); err != nil {
		t.Fatal(err)
	}
	want := Ready{PID: 1, Kubeconfig: "k", GitURL: "g", DVCR: "d", Namespace: "n", Environment: "e"}
	if err := writeReady(l, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadReady(l)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if err := removeReady(l); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReady(l); err == nil {
		t.Error("addresses are still there after they were removed")
	}
}

func TestWholeLinesAreHandedOn(t *testing.T) {
	var lines []string
	w := &lineWriter{line: func(line string) { lines = append(lines, line) }}
	for _, text := range []string{"one\ntw", "o\nthr", "ee"} {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("write %q: %d, %v", text, n, err)
		}
	}
	if diff := cmp.Diff([]string{"one", "two"}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
