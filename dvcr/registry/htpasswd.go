package registry

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// htpasswd holds the users of a file, as the htpasswd tool writes it with bcrypt. The hash is costly on purpose, so a password
// that was right once is known again by a cheap one.
type htpasswd struct {
	hashes map[string][]byte

	mu    sync.Mutex
	right map[string][sha256.Size]byte
}

// readHtpasswd reads a file; no path gives no users.
func readHtpasswd(path string) (*htpasswd, error) {
	h := &htpasswd{hashes: map[string][]byte{}, right: map[string][sha256.Size]byte{}}
	if path == "" {
		return h, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		if _, err := bcrypt.Cost([]byte(hash)); !ok || name == "" || err != nil {
			return nil, fmt.Errorf("read users from %s: line %d is not name:bcrypt; write it with \"htpasswd -B\"", path, n)
		}
		h.hashes[name] = []byte(hash)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read users from %s: %w", path, err)
	}
	return h, nil
}

func (h *htpasswd) matches(name, password string) bool {
	hash, ok := h.hashes[name]
	if !ok {
		return false
	}
	sum := sha256.Sum256([]byte(name + ":" + password))
	h.mu.Lock()
	known, ok := h.right[name]
	h.mu.Unlock()
	if ok && known == sum {
		return true
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.right[name] = sum
	return true
}
