package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// keyLength is the number of hexadecimal digits of a key: enough for the few
// builds that a cache ever holds, and short enough to read.
const keyLength = 16

// ingredients is everything that decides what a binary is.
type ingredients struct {
	goVersion string
	flags     []string
	files     []file
}

// file is a source by its path in the repository and its content's digest.
type file struct {
	path   string
	digest string
}

// key names a binary by its ingredients.
func (i ingredients) key() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q\n%q\n", i.goVersion, i.flags)
	for _, f := range i.files {
		fmt.Fprintf(sum, "%q %s\n", f.path, f.digest)
	}
	return hex.EncodeToString(sum.Sum(nil))[:keyLength]
}

// sources digests what a command is made of here: the module's definition, what
// it replaces, and the module's own files when the command is among them.
func sources(m Module, command Command) ([]file, error) {
	paths := []string{filepath.Join(m.Dir, "go.mod"), filepath.Join(m.Dir, "go.sum")}
	dirs := slices.Clone(m.Sources)
	if strings.HasPrefix(command.Package, ".") {
		dirs = append(dirs, m.Dir)
	}
	for _, dir := range dirs {
		found, err := goFiles(dir)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	files := make([]file, 0, len(paths))
	for _, path := range slices.Compact(paths) {
		digest, err := digestFile(path)
		if err != nil {
			return nil, err
		}
		relative, err := filepath.Rel(m.Dir, path)
		if err != nil {
			return nil, fmt.Errorf("name source %s: %w", path, err)
		}
		files = append(files, file{path: filepath.ToSlash(relative), digest: digest})
	}
	return files, nil
}

// goFiles finds what a build below dir may depend on. Tests and hidden
// directories do not count, nor do modules that are nested in this one.
func goFiles(dir string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != dir && skipped(path, entry.Name()):
			return fs.SkipDir
		case !entry.IsDir() && counted(entry.Name()):
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list sources in %s: %w", dir, err)
	}
	return found, nil
}

func skipped(path, name string) bool {
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

// counted includes what is embedded: anything that is not a test or a text for people.
func counted(name string) bool {
	return !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, ".md")
}

func digestFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("digest source: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("digest source %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
