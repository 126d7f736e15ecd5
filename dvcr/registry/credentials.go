package registry

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Credentials of a registry user.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

const (
	credentialsFile = "credentials.json"
	keyFile         = "key"
	minKey          = 32
	generatedUser   = "slipway"
)

// loadCredentials returns the generated user of a directory and makes one the first time.
func loadCredentials(dir string) (Credentials, error) {
	path := filepath.Join(dir, credentialsFile)
	var c Credentials
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &c)
		if err == nil && (c.Username == "" || c.Password == "") {
			err = errors.New("user name or password is empty")
		}
		if err != nil {
			return c, fmt.Errorf("read %s: %w; delete the file to have new credentials made", path, err)
		}
		return c, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("read registry credentials: %w", err)
	}
	c = Credentials{Username: generatedUser, Password: rand.Text() + rand.Text()}
	if b, err = json.Marshal(c); err != nil {
		return c, fmt.Errorf("encode registry credentials: %w", err)
	}
	return c, writeFile(path, b)
}

// newUsers gathers who may come in.
func newUsers(c Config, generated Credentials) (*users, error) {
	key, err := keyOf(c)
	if err != nil {
		return nil, err
	}
	file, err := readHtpasswd(c.Htpasswd)
	if err != nil {
		return nil, err
	}
	u := &users{key: key, file: file, plain: map[string]string{generated.Username: generated.Password}}
	for name, password := range c.Users {
		if err := checkUser(name, generated.Username); err != nil {
			return nil, err
		}
		u.plain[name] = password
	}
	for name := range file.hashes {
		if err := checkUser(name, generated.Username); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// checkUser refuses names that cannot be sent, or that are the server's own.
func checkUser(name, generated string) error {
	if name == "" || strings.ContainsAny(name, ":\r\n") {
		return fmt.Errorf("add registry user %q: the name is empty or holds a colon or a line break", name)
	}
	if _, derived := identify(name); derived || name == generated {
		return fmt.Errorf("add registry user %q: the name is taken by a user of the registry's own", name)
	}
	return nil
}

// keyOf returns the key that is given, else the one in the directory; the first time it makes one there.
func keyOf(c Config) (Key, error) {
	if c.Key != nil {
		if err := c.Key.Check(); err != nil {
			return nil, fmt.Errorf("use the registry key: %w", err)
		}
		return c.Key, nil
	}
	path := filepath.Join(c.Dir, keyFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key := NewKey()
		return key, writeFile(path, key)
	}
	if err == nil {
		err = Key(b).Check()
	}
	if err != nil {
		return nil, fmt.Errorf("read registry key %s: %w; delete the file to have a new key made", path, err)
	}
	return b, nil
}

// writeFile replaces a file that only its owner may read, so that a killed process leaves the old or the new content.
func writeFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone already when all went well
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// ReadCredentials returns the generated user of the server that has that directory.
func ReadCredentials(dir string) (Credentials, error) {
	var c Credentials
	b, err := os.ReadFile(filepath.Join(dir, credentialsFile))
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, fmt.Errorf("read registry credentials: %w", err)
	}
	return c, nil
}
