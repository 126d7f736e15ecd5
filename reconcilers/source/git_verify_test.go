package source

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/local/gitserver"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/git"
)

// signingRemote is a repository on a real Git server, and a clone whose commits are signed by keys of the test.
type signingRemote struct {
	t          *testing.T
	url, clone string
}

func newSigningRemote(t *testing.T) *signingRemote {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	bare := filepath.Join(t.TempDir(), "demo.git")
	if err := gitserver.InitDemo(t.Context(), bare, fstest.MapFS{"vm.yaml": {Data: []byte("kind: VirtualMachine\n")}}); err != nil {
		t.Fatal(err)
	}
	g, err := gitserver.New(gitserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	if err := errors.Join(g.Start(t.Context()), g.AddBare("demo", bare)); err != nil {
		t.Fatal(err)
	}
	r := &signingRemote{t: t, url: g.URL("demo"), clone: t.TempDir()}
	r.git("", "clone", "-q", r.url, ".")
	return r
}

// key makes a key pair from a seed and returns the private one's file and the public one.
func (r *signingRemote) key(seed byte) (file, public string) {
	r.t.Helper()
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		r.t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		r.t.Fatal(err)
	}
	file = filepath.Join(r.t.TempDir(), "id")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return file, string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
}

func (r *signingRemote) git(key string, args ...string) string {
	r.t.Helper()
	c := exec.CommandContext(r.t.Context(), "git", append([]string{"-c", "gpg.format=ssh", "-c", "user.signingkey=" + key}, args...)...)
	c.Dir = r.clone
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := c.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func keySecret(public ...string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "signers"}, Data: map[string][]byte{"team": []byte(strings.Join(public, ""))}}
}

func verifying(mode v1alpha1.GitVerificationMode, ref *v1alpha1.GitReference) v1alpha1.GitRepositorySpec {
	return v1alpha1.GitRepositorySpec{
		Reference:    ref,
		Verification: &v1alpha1.GitVerification{Mode: mode, SecretRef: v1alpha1.LocalObjectReference{Name: "signers"}},
	}
}

// signedWorld is a world with a real Git client.
func signedWorld(t *testing.T, r *signingRemote, spec v1alpha1.GitRepositorySpec, secret *corev1.Secret) *world {
	t.Helper()
	w := newWorld(t, spec, secret)
	w.repo.Spec.URL = r.url
	if err := w.client.Update(t.Context(), w.repo); err != nil {
		t.Fatal(err)
	}
	client := git.NewClient(git.WithTempDir(t.TempDir()), git.WithEgress(egress.Policy{Allow: egress.Loopback}))
	real := &reconciler{reader: w.client, secrets: w.client, git: client, store: w.store, clock: w.clock, spread: unspread}
	w.engine = flow.New(real.definition(), flow.Deps{Client: w.client, Recorder: w.events, Clock: w.clock})
	return w
}

func TestVerification(t *testing.T) {
	r := newSigningRemote(t)
	ours, oursPublic := r.key('a')
	theirs, _ := r.key('b')
	r.git(ours, "commit", "-q", "-S", "--allow-empty", "-m", "ours")
	r.git(ours, "tag", "-s", "v1.0.0", "-m", "signed by us")
	r.git(theirs, "tag", "-s", "v1.1.0", "-m", "signed by them")
	r.git(ours, "tag", "light")
	r.git("", "push", "-q", "origin", "HEAD", "--tags")
	r.git(theirs, "commit", "-q", "-S", "--allow-empty", "-m", "theirs")
	r.git(ours, "tag", "-s", "v2.0.0", "-m", "a tag of ours on a commit of theirs")
	r.git("", "push", "-q", "origin", "HEAD:theirs", "--tags")
	r.git("", "commit", "-q", "--allow-empty", "-m", "unsigned")
	r.git("", "push", "-q", "origin", "HEAD:unsigned")
	tag := func(name string) *v1alpha1.GitReference { return &v1alpha1.GitReference{Tag: name} }
	tests := map[string]struct {
		spec v1alpha1.GitRepositorySpec
		says string // in the condition; verified when ok
		ok   bool
	}{
		"head":                      {verifying(v1alpha1.VerifyHead, nil), "verified commit ", true},
		"head by another":           {verifying(v1alpha1.VerifyHead, &v1alpha1.GitReference{Branch: "theirs"}), "none of the keys", false},
		"head, unsigned":            {verifying(v1alpha1.VerifyHead, &v1alpha1.GitReference{Branch: "unsigned"}), "it is not signed", false},
		"tag":                       {verifying(v1alpha1.VerifyTag, tag("v1.0.0")), "tag v1.0.0 by SHA256:", true},
		"tag by range":              {verifying(v1alpha1.VerifyTag, &v1alpha1.GitReference{SemVer: "1.0.x"}), "tag v1.0.0 by SHA256:", true},
		"tag by name":               {verifying(v1alpha1.VerifyTag, &v1alpha1.GitReference{Name: "refs/tags/v1.0.0"}), "by SHA256:", true},
		"tag by another":            {verifying(v1alpha1.VerifyTag, tag("v1.1.0")), "none of the keys", false},
		"tag and head":              {verifying(v1alpha1.VerifyTagAndHead, tag("v1.0.0")), ", tag v1.0.0", true},
		"tag on a commit of theirs": {verifying(v1alpha1.VerifyTagAndHead, tag("v2.0.0")), "none of the keys", false},
		"a light tag":               {verifying(v1alpha1.VerifyTag, tag("light")), "no annotated tag", false},
		"a branch":                  {verifying(v1alpha1.VerifyTag, nil), "no annotated tag", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := signedWorld(t, r, test.spec, keySecret(oursPublic))
			_, err := w.run()
			if (err == nil) != test.ok {
				t.Fatalf("error = %v", err)
			}
			c := meta.FindStatusCondition(w.repo.Status.Conditions, v1alpha1.SourceVerifiedCondition)
			if c == nil || (c.Status == metav1.ConditionTrue) != test.ok || !strings.Contains(c.Message, test.says) {
				t.Errorf("SourceVerified = %+v, want %t with %q", c, test.ok, test.says)
			}
			status, reason := w.ready()
			if test.ok {
				if status != metav1.ConditionTrue || w.repo.Status.SourceVerificationMode != test.spec.Verification.Mode || w.repo.Status.Artifact == nil {
					t.Errorf("Ready = %s, mode %q, artifact %v", status, w.repo.Status.SourceVerificationMode, w.repo.Status.Artifact)
				}
				return
			}
			if reason != v1alpha1.VerificationErrorReason || w.repo.Status.Artifact != nil || w.repo.Status.SourceVerificationMode != "" {
				t.Errorf("Ready reason = %s, mode %q, artifact %v", reason, w.repo.Status.SourceVerificationMode, w.repo.Status.Artifact)
			}
		})
	}
}

// TestVerificationOverTime: a key that is withdrawn, a push by somebody else, and both put right.
func TestVerificationOverTime(t *testing.T) {
	r := newSigningRemote(t)
	ours, oursPublic := r.key('a')
	theirs, theirsPublic := r.key('b')
	r.git(ours, "commit", "-q", "-S", "--allow-empty", "-m", "ours")
	r.git("", "push", "-q", "origin", "HEAD")
	secret := keySecret(oursPublic)
	w := signedWorld(t, r, verifying(v1alpha1.VerifyHead, nil), secret)
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	good := w.repo.Status.Artifact.DeepCopy()
	trust := func(keys string) {
		secret.Data["team"] = []byte(keys)
		if err := w.client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		name     string
		change   func()
		ok       bool
		revision string
	}{
		{"nothing new", func() {}, true, good.Revision},
		{"a push by another", func() {
			r.git(theirs, "commit", "-q", "-S", "--allow-empty", "-m", "theirs")
			r.git("", "push", "-q", "origin", "HEAD")
		}, false, good.Revision},
		{"and again", func() {}, false, good.Revision},
		{"their key is trusted", func() { trust(oursPublic + theirsPublic) }, true, "main@sha1:" + r.git("", "rev-parse", "HEAD")},
		{"their key is withdrawn", func() { trust(oursPublic) }, false, ""},
		{"a key that is none", func() { trust("nonsense") }, false, ""},
		{"put right", func() { trust(theirsPublic) }, true, ""},
	}
	for _, step := range steps {
		step.change()
		if _, err := w.run(); (err == nil) != step.ok {
			t.Fatalf("%s: %v", step.name, err)
		}
		if status, reason := w.ready(); (status == metav1.ConditionTrue) != step.ok || !step.ok && reason != v1alpha1.VerificationErrorReason {
			t.Errorf("%s: Ready = %s %s", step.name, status, reason)
		}
		if !step.ok && step.revision != "" && w.repo.Status.Artifact.Revision != step.revision {
			t.Errorf("%s: the artifact is %s, want %s", step.name, w.repo.Status.Artifact.Revision, step.revision)
		}
	}
	if n := len(w.events.Drain()); n > 6 {
		t.Errorf("%d events for five changes", n)
	}
}

// TestRejectedRevisionsAreNotFetchedAgain counts what the stub is asked for.
func TestRejectedRevisionsAreNotFetchedAgain(t *testing.T) {
	r := newSigningRemote(t)
	_, public := r.key('a')
	w := newWorld(t, verifying(v1alpha1.VerifyHead, nil), keySecret(public))
	w.git.commitObject = []byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nunsigned\n")
	for range 3 {
		if _, err := w.run(); err == nil {
			t.Fatal("an unsigned commit is accepted")
		}
	}
	if w.git.fetches != 1 {
		t.Errorf("%d fetches of a revision that was rejected, want 1", w.git.fetches)
	}
	w.git.commit = second
	if _, err := w.run(); err == nil || w.git.fetches != 2 {
		t.Errorf("a new revision: %v after %d fetches", err, w.git.fetches)
	}
}
