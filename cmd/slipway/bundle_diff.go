package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/sources/archive"
)

// difference is one line of bundle diff.
type difference struct {
	// Change is added, removed or changed, seen from the bundle to the directory.
	Change string `json:"change"`
	Path   string `json:"path"`
}

// errDifferent ends a command with status 1 after it printed the differences.
var errDifferent = fmt.Errorf("the directory differs from the bundle: %w", errUnhealthy)

func newBundleDiff(o *bundleOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff oci://HOST/REPOSITORY:TAG DIR",
		Short: "Compare a bundle with a directory",
		Long: `Compare the files of a bundle with those that pushing a directory would put into it.
The exit status is 0 when they are the same and 1 when they are not.`,
		Args: exactArgs(2, "a URL and a directory"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.diff(cmd, args[0], args[1]) },
	}
	o.output.register(cmd)
	return cmd
}

func (o *bundleOptions) diff(cmd *cobra.Command, url, dir string) error {
	bundle, _, err := o.fetch(cmd, url)
	if err != nil {
		return err
	}
	defer bundle.Close() //nolint:errcheck // it has no name any more
	local, err := localTree(cmd.Context(), dir)
	if err != nil {
		return err
	}
	defer local.Close() //nolint:errcheck // it has no name any more
	differences, err := compare(bundle, local)
	if err != nil {
		return err
	}
	if err := o.printDifferences(cmd.OutOrStdout(), differences); err != nil {
		return err
	}
	if len(differences) > 0 {
		return errDifferent
	}
	return nil
}

// localTree is a directory as a push would see it.
func localTree(ctx context.Context, dir string) (*archive.Tree, error) {
	root, err := directory(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	reader, writer := io.Pipe()
	go func() {
		_, err := archive.Pack(ctx, writer, root.FS(), "")
		_ = writer.CloseWithError(err)
	}()
	files, err := archive.Unpack(ctx, reader, archive.Options{All: true})
	return files, errors.Join(err, reader.Close())
}

func compare(before, after fs.FS) ([]difference, error) {
	old, err := contents(before)
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	now, err := contents(after)
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	differences := []difference{}
	for name, content := range old {
		if other, found := now[name]; !found {
			differences = append(differences, difference{"removed", name})
		} else if !bytes.Equal(content, other) {
			differences = append(differences, difference{"changed", name})
		}
	}
	for name := range now {
		if _, found := old[name]; !found {
			differences = append(differences, difference{"added", name})
		}
	}
	slices.SortFunc(differences, func(a, b difference) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return differences, nil
}

// contents reads all files, each with its mode in front.
func contents(files fs.FS) (map[string][]byte, error) {
	all := map[string][]byte{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("stat %s: %w", name, err)
		}
		content, err := fs.ReadFile(files, name)
		all[name] = append([]byte(info.Mode().String()), content...)
		return err //nolint:wrapcheck // it names the file
	})
	if err != nil {
		return nil, fmt.Errorf("walk: %w", err)
	}
	return all, nil
}

func (o *bundleOptions) printDifferences(out io.Writer, differences []difference) error {
	if o.output != "table" {
		return o.output.printValue(out, differences)
	}
	if len(differences) == 0 {
		fmt.Fprintln(out, "no difference")
		return nil
	}
	t := table{header: []string{"CHANGE", "PATH"}}
	for _, d := range differences {
		t.rows = append(t.rows, []string{d.Change, d.Path})
	}
	t.write(out)
	return nil
}
