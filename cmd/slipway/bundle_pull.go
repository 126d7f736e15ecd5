package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/sources/oci"
	"slipway.dev/slipway/sources/tree"
)

// pulled is what bundle pull says.
type pulled struct {
	URL      string            `json:"url"`
	Digest   string            `json:"digest"`
	Files    int               `json:"files"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

func newBundlePull(o *bundleOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pull oci://HOST/REPOSITORY:TAG DIR",
		Short: "Pull a bundle into a new or empty directory",
		Args:  exactArgs(2, "a URL and a directory"),
		RunE:  func(cmd *cobra.Command, args []string) error { return o.pull(cmd, args[0], args[1]) },
	}
	o.output.register(cmd)
	return cmd
}

func (o *bundleOptions) pull(cmd *cobra.Command, url, dir string) error {
	bundle, revision, err := o.fetch(cmd, url)
	if err != nil {
		return err
	}
	defer bundle.Close() //nolint:errcheck // it has no name any more
	files, err := writeTree(bundle, dir)
	if err != nil {
		return err
	}
	if o.output != "table" {
		return o.output.printValue(cmd.OutOrStdout(), pulled{URL: url, Digest: revision.Digest, Files: files, Metadata: bundle.Metadata})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "pulled %s\n  digest    %s\n  files     %d into %s\n", url, revision.Digest, files, dir)
	return nil
}

// fetch brings a bundle with all of its files.
func (o *bundleOptions) fetch(cmd *cobra.Command, url string) (*oci.Bundle, oci.Revision, error) {
	shown := showTransfer(cmd.ErrOrStderr(), "pulling")
	defer shown.Done()
	repository, ref, err := o.open(cmd.Context(), url, shown.meter())
	if err != nil {
		return nil, oci.Revision{}, err
	}
	revision, err := repository.Resolve(cmd.Context(), ref)
	if err != nil {
		return nil, revision, err
	}
	bundle, err := repository.Fetch(cmd.Context(), revision, oci.Options{Copy: true})
	return bundle, revision, err
}

// writeTree writes files below a directory that no link leads out of.
func writeTree(files fs.FS, dir string) (int, error) {
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return 0, fmt.Errorf("write to %s: the directory is not empty; name another one", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, fmt.Errorf("make the directory: %w", err)
	}
	root, err := directory(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close() //nolint:errcheck // nothing is written through it any more
	n := 0
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || tree.Usable(d.Type()) != nil {
			return err
		}
		n++
		return writeFile(root, files, name, d)
	})
	if err != nil {
		return n, fmt.Errorf("write to %s: %w", dir, err)
	}
	return n, nil
}

func writeFile(root *os.Root, files fs.FS, name string, d fs.DirEntry) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("make directory of %s: %w", name, err)
	}
	info, err := d.Info()
	if err != nil {
		return fmt.Errorf("stat %s: %w", name, err)
	}
	in, err := files.Open(name)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer in.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
