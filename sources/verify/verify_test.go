package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"

	"slipway.dev/slipway/sources/verify"
)

const (
	commitID = "1234567890123456789012345678901234567890"
	unsigned = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nchange\n"
	tagText  = "object " + commitID + "\ntype commit\ntag v1.0.0\ntagger A <a@example.com> 1 +0000\n\nrelease\n"
)

// commit puts a signature into a commit as git does.
func commit(payload, signature string) []byte {
	head, message, _ := strings.Cut(payload, "\n\n")
	folded := strings.ReplaceAll(strings.TrimSuffix(signature, "\n"), "\n", "\n ")
	return []byte(head + "\ngpgsig " + folded + "\n\n" + message)
}

func pgp(t testing.TB, name string, config *packet.Config) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func public(t testing.TB, e *openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err := errors.Join(err, e.Serialize(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func signPGP(t testing.TB, e *openpgp.Entity, payload string, config *packet.Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&b, e, strings.NewReader(payload), config); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}

func ed(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, private)
}

func signerOf(t testing.TB, private any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signSSH makes a signature in the format of ssh-keygen -Y sign.
func signSSH(t testing.TB, s ssh.Signer, namespace, payload, algorithm string) string {
	t.Helper()
	sum := sha512.Sum512([]byte(payload))
	type signed struct {
		Magic                     [6]byte
		Namespace, Reserved, Hash string
		Sum                       []byte
	}
	magic := [6]byte([]byte("SSHSIG"))
	message := ssh.Marshal(signed{magic, namespace, "", "sha512", sum[:]})
	signature, err := s.Sign(rand.Reader, message)
	if a, able := s.(ssh.AlgorithmSigner); able && algorithm != "" {
		signature, err = a.SignWithAlgorithm(rand.Reader, message, algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	blob := ssh.Marshal(struct {
		Magic                     [6]byte
		Version                   uint32
		Key                       []byte
		Namespace, Reserved, Hash string
		Signature                 []byte
	}{magic, 1, s.PublicKey().Marshal(), namespace, "", "sha512", ssh.Marshal(signature)})
	return string(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob}))
}

func authorized(s ssh.Signer) string { return string(ssh.MarshalAuthorizedKey(s.PublicKey())) }

func TestCommit(t *testing.T) {
	alice, bob := pgp(t, "alice", nil), pgp(t, "bob", nil)
	past := &packet.Config{Time: func() time.Time { return time.Now().Add(-48 * time.Hour) }, KeyLifetimeSecs: 3600}
	expired := pgp(t, "expired", past)
	revoked := pgp(t, "revoked", nil)
	revokedSignature := signPGP(t, revoked, unsigned, nil)
	if err := revoked.RevokeKey(packet.KeyCompromised, "lost", nil); err != nil {
		t.Fatal(err)
	}
	carol, dave := ed(t), ed(t)
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	erin := signerOf(t, large)
	keys := map[string][]byte{
		"alice.asc": public(t, alice), "expired": public(t, expired), "revoked": public(t, revoked),
		"carol": []byte("carol@example.com namespaces=\"file,git\" " + authorized(carol)), "erin.sshpub": []byte("# ours\n" + authorized(erin)),
	}
	trusted, err := verify.ParseKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	good := signSSH(t, carol, "git", unsigned, "")
	tests := map[string]struct {
		raw  []byte
		name string // of the value; empty when refused
		want error
	}{
		"PGP":                       {commit(unsigned, signPGP(t, alice, unsigned, nil)), "alice.asc", nil},
		"SSH":                       {commit(unsigned, good), "carol", nil},
		"SSH with RSA and SHA-2":    {commit(unsigned, signSSH(t, erin, "git", unsigned, ssh.KeyAlgoRSASHA512)), "erin.sshpub", nil},
		"SSH with RSA and SHA-1":    {commit(unsigned, signSSH(t, erin, "git", unsigned, ssh.KeyAlgoRSA)), "", verify.ErrInvalid},
		"nothing":                   {[]byte(unsigned), "", verify.ErrUnsigned},
		"PGP by another":            {commit(unsigned, signPGP(t, bob, unsigned, nil)), "", verify.ErrUntrusted},
		"PGP by an expired key":     {commit(unsigned, signPGP(t, expired, unsigned, past)), "", verify.ErrInvalid},
		"PGP by a revoked key":      {commit(unsigned, revokedSignature), "", verify.ErrInvalid},
		"PGP on another commit":     {commit(strings.Replace(unsigned, "change", "other", 1), signPGP(t, alice, unsigned, nil)), "", verify.ErrInvalid},
		"SSH by another":            {commit(unsigned, signSSH(t, dave, "git", unsigned, "")), "", verify.ErrUntrusted},
		"SSH for files":             {commit(unsigned, signSSH(t, carol, "file", unsigned, "")), "", verify.ErrInvalid},
		"SSH on another commit":     {commit(strings.Replace(unsigned, "change", "other", 1), good), "", verify.ErrInvalid},
		"SSH cut off":               {commit(unsigned, good[:100]), "", verify.ErrInvalid},
		"SSH with something behind": {commit(unsigned, good+"x"), "", verify.ErrInvalid},
		"two signatures":            {commit(string(commit(unsigned, good)), good), "", verify.ErrInvalid},
		"S/MIME":                    {commit(unsigned, "-----BEGIN SIGNED MESSAGE-----\nMII=\n-----END SIGNED MESSAGE-----\n"), "", verify.ErrInvalid},
		"too long":                  {commit(unsigned, good+strings.Repeat(" ", 1<<17)), "", verify.ErrInvalid},
		"in the message":            {[]byte(unsigned + "\ngpgsig " + good), "", verify.ErrUnsigned},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := trusted.Commit(test.raw)
			if !errors.Is(err, test.want) || got.Name != test.name {
				t.Errorf("Commit() = %+v, %v; want a key of %q, %v", got, err, test.name, test.want)
			}
			if err == nil && (got.Fingerprint == "" || !strings.Contains(got.String(), test.name)) {
				t.Errorf("the signer prints as %q", got)
			}
		})
	}
}

func TestTag(t *testing.T) {
	carol := ed(t)
	alice := pgp(t, "alice", nil)
	trusted, err := verify.ParseKeys(map[string][]byte{"carol": []byte(authorized(carol)), "alice": public(t, alice)})
	if err != nil {
		t.Fatal(err)
	}
	signed := []byte(tagText + signSSH(t, carol, "git", tagText, ""))
	twice := strings.Replace(tagText, "tag v1.0.0\n", "tag v1.0.0\ntag v2.0.0\n", 1)
	tests := map[string]struct {
		raw       []byte
		tag, head string
		want      error
	}{
		"SSH":               {signed, "v1.0.0", commitID, nil},
		"PGP":               {[]byte(tagText + signPGP(t, alice, tagText, nil)), "v1.0.0", commitID, nil},
		"unsigned":          {[]byte(tagText), "v1.0.0", commitID, verify.ErrUnsigned},
		"under another tag": {signed, "v2.0.0", commitID, verify.ErrInvalid},
		"on another commit": {signed, "v1.0.0", strings.Repeat("0", 40), verify.ErrInvalid},
		"with two names":    {[]byte(twice + signSSH(t, carol, "git", twice, "")), "v1.0.0", commitID, verify.ErrInvalid},
		"changed":           {bytes.Replace(signed, []byte("release"), []byte("malware"), 1), "v1.0.0", commitID, verify.ErrInvalid},
		"empty":             {nil, "v1.0.0", commitID, verify.ErrUnsigned},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := trusted.Tag(test.raw, test.tag, test.head); !errors.Is(err, test.want) {
				t.Errorf("Tag() = %v, want %v", err, test.want)
			}
		})
	}
}

func TestParseKeysRefuses(t *testing.T) {
	carol := ed(t)
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(make([]byte, 32)), "")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ value, says string }{
		"nothing":         {"", "there are none"},
		"nonsense":        {"hunter2", "neither a PGP public key block nor an SSH public key"},
		"a private key":   {string(pem.EncodeToMemory(block)), "private key"},
		"other namespace": {"c namespaces=\"file\" " + authorized(carol), "not for git"},
		"an authority":    {"c cert-authority " + authorized(carol), "not supported"},
		"a validity":      {"c valid-before=\"20200101\" " + authorized(carol), "not supported"},
		"half a PGP key":  {"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "no end"},
		"a broken key":    {"ssh-ed25519 AAAA", "read SSH key"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := verify.ParseKeys(map[string][]byte{"team": []byte(test.value)})
			if !errors.Is(err, verify.ErrKeys) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "OPENSSH") {
				t.Errorf("ParseKeys() = %v, want one that says %q", err, test.says)
			}
		})
	}
}

// TestWhatGitSigns verifies commits and tags that git itself signed, by way of ssh-keygen and gpg where they are installed.
func TestWhatGitSigns(t *testing.T) {
	for _, format := range []string{"ssh", "openpgp"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			key, value := generate(t, format, dir)
			run := func(args ...string) string {
				t.Helper()
				c := exec.Command("git", append([]string{"-C", dir, "-c", "gpg.format=" + format, "-c", "user.signingkey=" + key}, args...)...)
				c.Env = append(os.Environ(), "GNUPGHOME="+dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
					"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
				out, err := c.Output()
				if err != nil {
					t.Fatalf("git %s: %v", args, err)
				}
				return string(out)
			}
			run("init", "-q")
			run("commit", "-q", "-S", "--allow-empty", "-m", "change")
			run("tag", "-s", "v1.0.0", "-m", "release")
			trusted, err := verify.ParseKeys(map[string][]byte{"team": value})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := trusted.Commit([]byte(run("cat-file", "commit", "HEAD"))); err != nil || got.Name != "team" {
				t.Errorf("Commit() = %+v, %v", got, err)
			}
			head := strings.TrimSpace(run("rev-parse", "HEAD"))
			if got, err := trusted.Tag([]byte(run("cat-file", "tag", "v1.0.0")), "v1.0.0", head); err != nil || got.Name != "team" {
				t.Errorf("Tag() = %+v, %v", got, err)
			}
		})
	}
}

// generate makes a key pair and returns git's name for it, and the public key.
func generate(t *testing.T, format, dir string) (key string, value []byte) {
	t.Helper()
	tool := map[string]string{"ssh": "ssh-keygen", "openpgp": "gpg"}[format]
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is not installed", tool)
	}
	run := func(args ...string) []byte {
		t.Helper()
		c := exec.Command(tool, args...)
		c.Env = append(os.Environ(), "GNUPGHOME="+dir)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s %s: %v", tool, args, err)
		}
		return out
	}
	if format == "ssh" {
		file := filepath.Join(dir, "id")
		run("-q", "-t", "ed25519", "-N", "", "-f", file)
		value, err := os.ReadFile(file + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		return file, value
	}
	run("--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "a@example.com", "ed25519", "sign", "never")
	t.Cleanup(func() {
		c := exec.Command("gpgconf", "--kill", "gpg-agent")
		c.Env = append(os.Environ(), "GNUPGHOME="+dir)
		_ = c.Run()
	})
	return "a@example.com", run("--armor", "--export", "a@example.com")
}

func FuzzSignatures(f *testing.F) {
	carol := ed(f)
	alice := pgp(f, "alice", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	trusted, err := verify.ParseKeys(map[string][]byte{"carol": []byte(authorized(carol)), "alice": public(f, alice)})
	if err != nil {
		f.Fatal(err)
	}
	good := map[string]bool{}
	for _, signature := range []string{signSSH(f, carol, "git", unsigned, ""), signPGP(f, alice, unsigned, nil)} {
		raw := commit(unsigned, signature)
		good[string(raw)] = true
		f.Add(raw)
	}
	f.Add([]byte(tagText + signSSH(f, carol, "git", tagText, "")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := trusted.Commit(raw)
		_, _ = trusted.Tag(raw, "v1.0.0", commitID)
		if err == nil && !good[string(raw)] && !bytes.Contains(raw, []byte("change\n")) {
			t.Errorf("accepted %q", raw)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("a namespaces=\"git\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxcXHmwaGnJ8scJaEN5RzklBPZpVSic4GdaAsKjQoeA"))
	f.Add([]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n=\n-----END PGP PUBLIC KEY BLOCK-----"))
	f.Fuzz(func(t *testing.T, value []byte) {
		if _, err := verify.ParseKeys(map[string][]byte{"k": value}); err != nil && !errors.Is(err, verify.ErrKeys) {
			t.Errorf("ParseKeys() = %v", err)
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	carol, alice := ed(b), pgp(b, "alice", nil)
	trusted, err := verify.ParseKeys(map[string][]byte{"carol": []byte(authorized(carol)), "alice": public(b, alice)})
	if err != nil {
		b.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"ssh": commit(unsigned, signSSH(b, carol, "git", unsigned, "")), "pgp": commit(unsigned, signPGP(b, alice, unsigned, nil)),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := trusted.Commit(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
