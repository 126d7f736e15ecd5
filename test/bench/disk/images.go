package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// imageSet is three versions of one image.
type imageSet struct {
	// Raw are the images: the first, the same with a tenth of its files rewritten in place, and one built anew from the same files.
	Raw  [3]string `json:"-"`
	Size int64     `json:"virtualSize"`
	// Data is how many bytes of the first are in blocks that are not zero.
	Data int64 `json:"data"`
	// Files is how many files there are, Rewritten how many of them differ in the later versions.
	Files     int    `json:"files"`
	Rewritten int    `json:"rewritten"`
	Tree      string `json:"tree"`
}

const block = 4096

// makeImages builds a root file system, and from it the three images.
func makeImages(ctx context.Context, o options) (imageSet, error) {
	tree := filepath.Join(o.dir, "tree")
	set := imageSet{Tree: "Debian with " + o.packages}
	say("building a root file system")
	if err := command(ctx, "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include="+o.packages, "bookworm", tree); err != nil {
		return set, err
	}
	files, size, err := listFiles(tree)
	if err != nil {
		return set, err
	}
	set.Files, set.Size = len(files), (size*3/2+(512<<20))/(64<<20)*(64<<20)
	for i := range set.Raw {
		set.Raw[i] = filepath.Join(o.dir, fmt.Sprintf("v%d.raw", i+1))
	}
	say("building images of %d MiB", set.Size>>20)
	if err := makeFS(ctx, tree, set.Raw[0], set.Size); err != nil {
		return set, err
	}
	if err := command(ctx, "cp", "--sparse=always", set.Raw[0], set.Raw[1]); err != nil {
		return set, err
	}
	var chosen []string
	for i := 0; i < len(files); i += 10 {
		chosen = append(chosen, files[i])
	}
	if set.Rewritten, err = rewrite(ctx, tree, set.Raw[1], chosen); err != nil {
		return set, err
	}
	// A copy of the tree lists its directories in another order, as a build on another day does.
	rebuilt := filepath.Join(o.dir, "rebuilt")
	if err := command(ctx, "cp", "-a", tree, rebuilt); err != nil {
		return set, err
	}
	if err := makeFS(ctx, rebuilt, set.Raw[2], set.Size); err != nil {
		return set, err
	}
	set.Data, err = dataOf(set.Raw[0], "")
	return set, errors.Join(err, os.RemoveAll(tree), os.RemoveAll(rebuilt))
}

// listFiles returns regular files of at least a block, in order, and the size of all.
func listFiles(tree string) (files []string, size int64, err error) {
	err = filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("look at %s: %w", path, err)
		}
		size += info.Size() + block
		if info.Size() >= block && !strings.ContainsAny(path, " \"") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list files: %w", err)
	}
	return files, size, nil
}

func makeFS(ctx context.Context, tree, path string, size int64) error {
	if err := command(ctx, "truncate", "-s", fmt.Sprint(size), path); err != nil {
		return err
	}
	return command(ctx, "mkfs.ext4", "-q", "-F", "-d", tree, path)
}

// rewrite gives each of the files a block of new content at a random place, in the image where it lies and in the tree.
func rewrite(ctx context.Context, tree, image string, files []string) (int, error) {
	var script bytes.Buffer
	for _, path := range files {
		fmt.Fprintf(&script, "blocks \"%s\"\n", strings.TrimPrefix(path, tree))
	}
	cmd := exec.CommandContext(ctx, "debugfs", "-f", "-", image)
	cmd.Stdin = &script
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("find files in the image: %w", err)
	}
	raw, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("open image: %w", err)
	}
	defer raw.Close()
	random := rand.New(rand.NewPCG(10, 10))
	next, done := 0, 0
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "debugfs") {
			continue
		}
		path := files[next]
		next++
		fresh := make([]byte, block)
		for i := range fresh {
			fresh[i] = byte(random.Uint32())
		}
		if ok, err := rewriteOne(path, raw, strings.Fields(lines.Text()), fresh, random); err != nil {
			return done, err
		} else if ok {
			done++
		}
		if next == len(files) {
			break
		}
	}
	if err := lines.Err(); err != nil {
		return done, fmt.Errorf("read what was done: %w", err)
	}
	return done, nil
}

func rewriteOne(path string, raw *os.File, blocks []string, fresh []byte, random *rand.Rand) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("rewrite: %w", err)
	}
	whole := int(min(info.Size()/block, int64(len(blocks))))
	if whole == 0 {
		return false, nil
	}
	n := random.IntN(whole)
	at, err := strconv.ParseInt(blocks[n], 10, 64)
	if err != nil || at == 0 {
		return false, nil // a hole, or a file that is not there
	}
	if _, err := raw.WriteAt(fresh, at*block); err != nil {
		return false, fmt.Errorf("rewrite image: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return false, fmt.Errorf("rewrite: %w", err)
	}
	_, err = f.WriteAt(fresh, int64(n)*block)
	return true, errors.Join(err, f.Close())
}

// dataOf counts the bytes of a file in blocks that are not zero, and writes those blocks to another file when one is named.
func dataOf(path, into string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read image: %w", err)
	}
	defer f.Close()
	out := io.Discard
	if into != "" {
		packed, err := os.Create(into)
		if err != nil {
			return 0, fmt.Errorf("write blocks: %w", err)
		}
		defer packed.Close()
		out = packed
	}
	r, w := bufio.NewReaderSize(f, 1<<20), bufio.NewWriterSize(out, 1<<20)
	var n int64
	buf, zero := make([]byte, block), make([]byte, block)
	for {
		m, err := io.ReadFull(r, buf)
		if m > 0 && !bytes.Equal(buf[:m], zero[:m]) {
			n += int64(m)
			_, _ = w.Write(buf[:m]) // Flush tells
		}
		if err != nil {
			return n, flushed(w)
		}
	}
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func flushed(w *bufio.Writer) error {
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the data: %w", err)
	}
	return nil
}
