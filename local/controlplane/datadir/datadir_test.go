package datadir

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// lockVariable makes this test binary hold a directory's lock until its
// standard input ends: a process never meets its own lock.
const lockVariable = "DATADIR_TEST_LOCK"

func TestMain(m *testing.M) {
	dir := os.Getenv(lockVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := Open(dir, Holder{PID: os.Getpid(), Parent: os.Getppid()}); err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("locked\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func open(t *testing.T, root string) *Dir {
	t.Helper()
	dir, err := Open(root, Holder{PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func TestOpenClosesDirectoryToOthers(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(open(t, root).Root())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("mode %o, want 700", got)
	}
}

func TestOpenRefusesDirectoryOfAnotherProcess(t *testing.T) {
	root := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), lockVariable+"="+root)
	hold, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("locked\n"))); err != nil {
		t.Fatal(err)
	}

	if _, err := Open(root, Holder{PID: os.Getpid()}); !errors.Is(err, ErrInUse) {
		t.Errorf("open while locked: %v, want ErrInUse", err)
	}
	text, err := os.ReadFile(filepath.Join(root, LockFile))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"pid":` + strconv.Itoa(other.Process.Pid) + `,"parent":` + strconv.Itoa(os.Getpid()) + `}`
	if string(text) != want {
		t.Errorf("lock file says %s, want %s", text, want)
	}

	hold.Close()
	_ = other.Wait()
	open(t, root)
}

func TestRemove(t *testing.T) {
	cases := map[string]struct {
		before  []string
		refused bool
	}{
		"empty":         {},
		"only a log":    {before: []string{LogFile}},
		"somebody's":    {before: []string{"thesis.txt"}, refused: true},
		"an older data": {before: []string{LockFile, "etcd", LogFile}, refused: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(root, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, file := range tc.before {
				if err := os.WriteFile(filepath.Join(root, file), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := open(t, root).Remove()
			if (err != nil) != tc.refused {
				t.Errorf("remove: %v, want refused %t", err, tc.refused)
			}
			if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) == tc.refused {
				t.Errorf("directory afterwards: %v, want kept %t", err, tc.refused)
			}
		})
	}
}

func TestListenRemembersPort(t *testing.T) {
	dir := open(t, t.TempDir())
	first := listen(t, dir, 0)
	first.Close()
	second := listen(t, dir, 0)
	if second.Addr().String() != first.Addr().String() {
		t.Errorf("listens on %s, want %s again", second.Addr(), first.Addr())
	}
	// The remembered port is taken now.
	third := listen(t, dir, 0)
	if third.Addr().String() == second.Addr().String() {
		t.Errorf("listens on %s twice", third.Addr())
	}
	if _, err := dir.Listen(port(second)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen on a taken port that was asked for: %v, want address in use", err)
	}
}

func TestListenSurvivesBrokenPortFile(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "words": "none", "too large": "123456", "negative": "-1"} {
		t.Run(name, func(t *testing.T) {
			dir := open(t, t.TempDir())
			if err := os.WriteFile(dir.portPath(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if port, err := readPort(dir.portPath()); port != 0 || err != nil {
				t.Errorf("remembered port %d, %v; want none", port, err)
			}
			listen(t, dir, 0)
		})
	}
}

func TestListenStaysOnLoopback(t *testing.T) {
	if ip := listen(t, open(t, t.TempDir()), 0).Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		t.Errorf("listens on %s, want loopback", ip)
	}
}

func listen(t *testing.T, dir *Dir, port int) net.Listener {
	t.Helper()
	listener, err := dir.Listen(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func TestSocketsForKeepsPathsShort(t *testing.T) {
	if got := socketsFor("/data", "/tmp"); got != "/data/sock" {
		t.Errorf("sockets of /data in %s, want inside it", got)
	}
	long := "/" + strings.Repeat("d", 120)
	got := socketsFor(long, "/tmp")
	if filepath.Dir(got) != "/tmp" || len(got)+1+longestSocketName > maxSocketPath {
		t.Errorf("sockets of a long path in %s, want a short path below /tmp", got)
	}
	if got == socketsFor(long+"x", "/tmp") {
		t.Errorf("two directories share %s", got)
	}
}

func TestSocketsRefusesForeignDirectory(t *testing.T) {
	cases := map[string]func(t *testing.T, path string) error{
		"open to others": func(_ *testing.T, path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o755))
		},
		"a link": func(t *testing.T, path string) error { return os.Symlink(t.TempDir(), path) },
		"a file": func(_ *testing.T, path string) error { return os.WriteFile(path, nil, 0o600) },
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), socketDir)
			if err := prepare(t, path); err != nil {
				t.Fatal(err)
			}
			if err := private(path); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestWriteFileReplacesAndLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	for _, text := range []string{"a longer first text", "second"} {
		if err := WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(text, []byte("second")) {
		t.Errorf("read %q, %v; want the second text", text, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("stat: %v, %v; want mode 600", info, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("directory holds %v, %v; want one file", entries, err)
	}
}
