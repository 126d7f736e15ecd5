package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/sources/oci"
	"slipway.dev/slipway/sources/origin"
)

// pushOptions are the flags of bundle push.
type pushOptions struct {
	*bundleOptions
	source, revision, created string
	annotations               map[string]string
	ignore                    []string
}

// pushed is what bundle push says.
type pushed struct {
	URL      string   `json:"url"`
	Digest   string   `json:"digest"`
	Files    int      `json:"files"`
	Size     int64    `json:"size"`
	Source   string   `json:"source,omitempty"`
	Revision string   `json:"revision,omitempty"`
	Created  string   `json:"created,omitempty"`
	LeftOut  []string `json:"leftOut,omitempty"`
}

func newBundlePush(shared *bundleOptions) *cobra.Command {
	o := &pushOptions{bundleOptions: shared}
	cmd := &cobra.Command{
		Use:   "push oci://HOST/REPOSITORY:TAG DIR",
		Short: "Push a directory as a bundle",
		Long: `Push a directory as a bundle. The same files with the same annotations always have the
same digest. Source, revision and time are those of the Git commit that is checked out,
unless flags say otherwise; the time may also come from SOURCE_DATE_EPOCH.`,
		Args: exactArgs(2, "a URL and a directory"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.push(cmd, args[0], args[1]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.source, "source", "", "where the files come from (default: the address of the Git remote origin)")
	flags.StringVar(&o.revision, "revision", "", "revision of the files (default: BRANCH@sha1:COMMIT of Git)")
	flags.StringVar(&o.created, "created", "", "time in RFC 3339 (default: the Git commit's)")
	flags.StringToStringVar(&o.annotations, "annotation", nil, "further annotation KEY=VALUE; repeatable")
	flags.StringSliceVar(&o.ignore, "ignore", nil, "further line of ignore rules in the syntax of .gitignore; repeatable")
	o.output.register(cmd)
	return cmd
}

func (o *pushOptions) push(cmd *cobra.Command, url, dir string) error {
	ctx := cmd.Context()
	shown := showTransfer(cmd.ErrOrStderr(), "pushing")
	defer shown.Done()
	repository, ref, err := o.open(ctx, url, shown.meter())
	if err != nil {
		return err
	}
	if err := needTag(url, ref); err != nil {
		return err
	}
	root, err := directory(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	about, err := o.about(dir)
	if err != nil {
		return err
	}
	packed, err := oci.Pack(ctx, root.FS(), strings.Join(o.ignore, "\n"), about)
	if err != nil {
		return err
	}
	defer packed.Close() //nolint:errcheck // it has no name any more
	if err := repository.Push(ctx, packed, ref.Tag); err != nil {
		return err
	}
	return o.printPushed(cmd.OutOrStdout(), pushed{
		URL: url, Digest: packed.Digest, Files: packed.Files, Size: packed.Size(),
		Source: about.Source, Revision: about.Revision, Created: about.Created, LeftOut: packed.LeftOut,
	})
}

// about finds the annotations: from flags, else from Git, else from the environment.
func (o *pushOptions) about(dir string) (oci.Annotations, error) {
	about := oci.Annotations{Source: o.source, Revision: o.revision, Created: o.created, More: o.annotations}
	if about.Created != "" {
		if _, err := time.Parse(time.RFC3339, about.Created); err != nil {
			return about, usageError{fmt.Errorf("--created %q is no time in RFC 3339, such as 2026-05-01T12:00:00Z", about.Created)}
		}
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); about.Created == "" && epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return about, fmt.Errorf("read SOURCE_DATE_EPOCH: %q is no number of seconds", epoch)
		}
		about.Created = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	}
	if about.Source != "" && about.Revision != "" && about.Created != "" {
		return about, nil
	}
	commit, found, err := origin.Of(dir)
	if err != nil || !found {
		return about, err
	}
	about.Source = first(about.Source, commit.Source)
	about.Revision = first(about.Revision, commit.Revision)
	about.Created = first(about.Created, commit.Created.Format(time.RFC3339))
	return about, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func (o *pushOptions) printPushed(out io.Writer, p pushed) error {
	if o.output != "table" {
		return o.output.printValue(out, p)
	}
	fmt.Fprintf(out, "pushed %s\n  digest    %s\n  files     %d in %d bytes\n", p.URL, p.Digest, p.Files, p.Size)
	for _, line := range []struct{ name, value string }{{"source", p.Source}, {"revision", p.Revision}, {"created", p.Created}} {
		if line.value != "" {
			fmt.Fprintf(out, "  %-9s %s\n", line.name, line.value)
		}
	}
	for _, name := range p.LeftOut {
		fmt.Fprintf(out, "  left out  %s, which is a link or a special file\n", name)
	}
	return nil
}
