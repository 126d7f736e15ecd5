package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

func TestExitCodes(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want int
		says string
	}{
		"version":                    {args: []string{"version"}, want: 0, says: "slipway "},
		"help":                       {args: []string{"--help"}, want: 0, says: "up --demo"},
		"no command":                 {args: nil, want: 0, says: "up --demo"},
		"an unknown command":         {args: []string{"restrat", "web"}, want: exitUsage, says: "is it restart?"},
		"too many arguments":         {args: []string{"build", "one", "two"}, want: exitUsage, says: "--help"},
		"get of too much":            {args: []string{"get", "vms", "web", "db"}, want: exitUsage, says: "a kind and a name"},
		"an unknown flag":            {args: []string{"get", "--nonsense"}, want: exitUsage, says: "--help"},
		"up without a source":        {args: []string{"up"}, want: exitUsage, says: "--demo"},
		"up with two sources":        {args: []string{"up", "--demo", "."}, want: exitUsage, says: "leave DIR or URL out"},
		"up with a wrong network":    {args: []string{"up", "--demo", "--allow-network", "intranet"}, want: exitUsage, says: "--allow-network"},
		"restart without a machine":  {args: []string{"restart"}, want: exitUsage, says: "name of one machine"},
		"an unknown kind":            {args: []string{"get", "pods"}, want: exitUsage, says: "environments"},
		"an unknown output":          {args: []string{"get", "-o", "xml"}, want: exitUsage, says: "json, yaml or table"},
		"build of what is not there": {args: []string{"build", "no-such-directory"}, want: exitFailed, says: "no-such-directory"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			root := newRoot(&out, &errOut)
			root.SetArgs(tc.args)
			if got := exitCode(root.ExecuteContext(t.Context()), &errOut); got != tc.want {
				t.Errorf("exit code %d, want %d: %s", got, tc.want, errOut.String())
			}
			if text := out.String() + errOut.String(); !strings.Contains(text, tc.says) {
				t.Errorf("printed %q, want it to say %q", text, tc.says)
			}
		})
	}
}

func TestBar(t *testing.T) {
	for progress, want := range map[string]string{
		"":       "",
		"0.0%":   "[----------] 0.0%",
		"52.5%":  "[#####-----] 52.5%",
		"99.9%":  "[#########-] 99.9%",
		"100%":   "",
		"100.0%": "",
		"soon":   "",
	} {
		if got := bar(progress, ""); got != want {
			t.Errorf("bar(%q) = %q, want %q", progress, got, want)
		}
	}
	if got, want := bar("10.0%", "3Mi/s"), "[#---------] 10.0% 3Mi/s"; got != want {
		t.Errorf("with a speed %q, want %q", got, want)
	}
}

func TestShortRevision(t *testing.T) {
	commit := strings.Repeat("0123456789", 4)
	for revision, want := range map[string]string{
		"":                      "",
		"main@sha1:" + commit:   "main@0123456789",
		"sha1:abc":              "sha1:abc",
		"refs/x@sha1:" + commit: "refs/x@0123456789",
		"v1@sha256:" + commit:   "v1@0123456789",
		"sha256:" + commit:      "0123456789",
	} {
		if got := shortRevision(revision); got != want {
			t.Errorf("shortRevision(%q) = %q, want %q", revision, got, want)
		}
	}
}

func TestAwaits(t *testing.T) {
	vm := &v1alpha2.VirtualMachine{}
	vm.Status.RestartAwaitingChanges = []v1alpha2.RestartAwaitingChange{
		{Path: "cpu.cores", CurrentValue: &apiextensionsv1.JSON{Raw: []byte("1")}, DesiredValue: &apiextensionsv1.JSON{Raw: []byte("2")}},
		{Path: "provisioning"},
	}
	if got, want := awaits(vm), "cpu.cores 1→2, provisioning"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCores(t *testing.T) {
	for name, c := range map[string]struct {
		spec         int32
		status, want int
	}{
		"not placed yet":   {spec: 2, want: 2},
		"as asked":         {spec: 2, status: 2, want: 2},
		"awaits a restart": {spec: 2, status: 1, want: 1},
	} {
		vm := &v1alpha2.VirtualMachine{}
		vm.Spec.CPU.Cores, vm.Status.Resources.CPU.Cores = c.spec, c.status
		if got := cores(vm); got != c.want {
			t.Errorf("%s: %d cores, want %d", name, got, c.want)
		}
	}
}

func TestRetainedObjectsAreMarked(t *testing.T) {
	disk := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Name: "data", UID: "1"}}
	retained := retainedUIDs([]v1alpha1.Environment{{Status: v1alpha1.EnvironmentStatus{Tombstones: []v1alpha1.Tombstone{{UID: "1"}}}}})
	if got, want := phase(disk, "Ready", retained), "Ready, retained"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	disk.UID = "2"
	if got, want := phase(disk, "", retained), "Pending"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLinesAreDrawnOnlyWhenTheyChange(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	header := []string{"DISK", "PHASE", "SIZE"}
	s.draw([]table{{header: header, rows: [][]string{{"a", "Pending", ""}}}}, nil)
	s.draw([]table{{header: header, rows: [][]string{{"a", "Pending", ""}}}}, []string{"web | hello"})
	s.draw([]table{{header: header, rows: [][]string{{"a", "Ready", "1Gi"}}}}, nil)
	want := "disk a: phase Pending\nweb | hello\ndisk a: phase Ready; size 1Gi\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestGuestsCannotDriveTheTerminal(t *testing.T) {
	if got, want := printable("\x1b[2Jhello\a\r\n"), "[2Jhello"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConsoleEscape(t *testing.T) {
	for name, tc := range map[string]struct {
		typed, want string
	}{
		"until the escape": {typed: "ls\n\x1drest", want: "ls\n"},
		"until the end":    {typed: "ls\n", want: "ls\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var sent bytes.Buffer
			if err := copyUntilEscape(&sent, io.Reader(strings.NewReader(tc.typed))); err != nil {
				t.Fatal(err)
			}
			if got := sent.String(); got != tc.want {
				t.Errorf("sent %q, want %q", got, tc.want)
			}
		})
	}
}

func TestHostKeysAreRemembered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	first, second := hostKey(t), hostKey(t)
	for _, step := range []struct {
		name, host string
		key        ssh.PublicKey
		want       error
	}{
		{"the first is taken", "demo/web", first, nil},
		{"the same is known", "demo/web", first, nil},
		{"another machine has its own", "demo/db", second, nil},
		{"a changed one is refused", "demo/web", second, errHostKeyChanged},
	} {
		if err := rememberHost(file, step.host)("", nil, step.key); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
	}
}

func hostKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
