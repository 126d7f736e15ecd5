package registry

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Credentials of a registry user.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

const (
	credentialsFile = "credentials.json"
	htpasswdFile    = "htpasswd"
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

// writeUsers writes the htpasswd file. The generated password has 260 random bits, which no one can guess whatever the
// hash costs; the cheapest hash keeps it from costing more than the request it guards. Other passwords get the usual cost.
func writeUsers(dir string, generated Credentials, others map[string]string) error {
	var b bytes.Buffer
	if err := appendUser(&b, generated.Username, generated.Password, bcrypt.MinCost); err != nil {
		return err
	}
	names := make([]string, 0, len(others))
	for name := range others {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == generated.Username {
			return fmt.Errorf("add registry user %q: the name is taken by the generated user", name)
		}
		if err := appendUser(&b, name, others[name], bcrypt.DefaultCost); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(dir, htpasswdFile), b.Bytes())
}

func appendUser(b *bytes.Buffer, name, password string, cost int) error {
	if name == "" || strings.ContainsAny(name, ":\r\n") {
		return fmt.Errorf("add registry user %q: the name is empty or holds a colon or a line break", name)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return fmt.Errorf("hash password of registry user %q: %w", name, err)
	}
	fmt.Fprintf(b, "%s:%s\n", name, hash)
	return nil
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
