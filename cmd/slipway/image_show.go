package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/reconcilers/garbage"
)

// imageInfo is what commands print of an image.
type imageInfo struct {
	Reference     string          `json:"reference"`
	Digest        string          `json:"digest"`
	ContentDigest string          `json:"contentDigest"`
	VirtualSize   int64           `json:"virtualSize"`
	DataSize      int64           `json:"dataSize"`
	StoredSize    int64           `json:"storedSize"`
	Packs         int             `json:"packs"`
	Frames        int             `json:"frames"`
	Format        string          `json:"sourceFormat,omitempty"`
	Faces         []disk.FaceKind `json:"faces,omitempty"`
}

func describeImage(l location, i disk.Info) imageInfo {
	return imageInfo{
		Reference: l.String(), Digest: i.Digest, ContentDigest: i.Config.ContentDigest.String(), VirtualSize: i.Config.VirtualSize,
		DataSize: i.Config.DataSize, StoredSize: i.StoredSize, Packs: i.Packs, Frames: i.Frames, Format: i.Config.Source.Format, Faces: i.Faces,
	}
}

func (i imageInfo) table() table {
	return table{header: []string{"REFERENCE", "SIZE", "DATA", "STORED", "PACKS", "FORMS", "DIGEST"}, rows: [][]string{i.row()}}
}

func (i imageInfo) row() []string {
	forms := make([]string, len(i.Faces))
	for n, kind := range i.Faces {
		forms[n] = string(kind)
	}
	return []string{
		i.Reference, quantity(i.VirtualSize), quantity(i.DataSize), quantity(i.StoredSize), fmt.Sprint(i.Packs),
		strings.Join(append([]string{"disk"}, forms...), ","), shortDigest(i.Digest),
	}
}

func quantity(n int64) string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case n < kib:
		return fmt.Sprint(n)
	case n < mib:
		return fmt.Sprintf("%.1fKi", float64(n)/kib)
	}
	return fmt.Sprintf("%.1fMi", float64(n)/mib)
}

// shortDigest is long enough to find it again.
func shortDigest(d string) string {
	const shown = len("sha256:") + 12
	return d[:min(len(d), shown)]
}

func (o *imageOptions) printInfo(out io.Writer, l location, i disk.Info) error {
	info := describeImage(l, i)
	if o.output != "table" {
		return o.output.printValue(out, info)
	}
	info.table().write(out)
	return nil
}

// printPulled also tells what was moved.
func (o *imageOptions) printPulled(out io.Writer, l location, r disk.Restored) error {
	if o.output != "table" {
		return o.output.printValue(out, struct {
			imageInfo
			Kept    int64 `json:"kept"`
			Copied  int64 `json:"copied"`
			Fetched int64 `json:"fetched"`
			Moved   int64 `json:"moved"`
		}{describeImage(l, r.Info), r.Kept, r.Copied, r.Fetched, r.Moved})
	}
	t := describeImage(l, r.Info).table()
	t.header = append(t.header, "KEPT", "COPIED", "FETCHED", "MOVED")
	t.rows[0] = append(t.rows[0], quantity(r.Kept), quantity(r.Copied), quantity(r.Fetched), quantity(r.Moved))
	t.write(out)
	return nil
}

func newImageInspect(o *imageOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect REFERENCE",
		Short: "Show what an image is made of",
		Args:  exactArgs(1, "a reference"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, repository, err := o.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			info, err := disk.Inspect(cmd.Context(), repository, l.reference)
			if err != nil {
				return err
			}
			return o.printInfo(cmd.OutOrStdout(), l, info)
		},
	}
	o.output.register(cmd)
	return cmd
}

func newImageVerify(o *imageOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify REFERENCE",
		Short: "Read an image from the registry and compare every chunk with its digest",
		Args:  exactArgs(1, "a reference"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, repository, err := o.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			b := newBar(cmd.ErrOrStderr(), "verify "+l.repository)
			got, err := disk.Verify(cmd.Context(), repository, l.reference, disk.RestoreOptions{Progress: b.show})
			b.done()
			if err != nil {
				return err
			}
			return o.printPulled(cmd.OutOrStdout(), l, got)
		},
	}
	o.output.register(cmd)
	return cmd
}

func newImageDiff(o *imageOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show how much of an image an older one has",
		Args:  exactArgs(2, "two references"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var tables [2]*disk.Table
			for n, arg := range args {
				l, repository, err := o.find(cmd.Context(), arg)
				if err != nil {
					return err
				}
				if tables[n], err = disk.LoadTable(cmd.Context(), repository, l.reference); err != nil {
					return err
				}
			}
			return o.printDifference(cmd.OutOrStdout(), disk.Compare(tables[0], tables[1]))
		},
	}
	o.output.register(cmd)
	return cmd
}

func (o *imageOptions) printDifference(out io.Writer, d disk.Difference) error {
	if o.output != "table" {
		return o.output.printValue(out, d)
	}
	table{
		header: []string{"", "ALL", "NEW", "SHARE"},
		rows: [][]string{
			{"data", quantity(d.Data), quantity(d.New), share(d.New, d.Data)},
			{"stored", quantity(d.Stored), quantity(d.NewStored), share(d.NewStored, d.Stored)},
		},
	}.write(out)
	return nil
}

func share(part, all int64) string {
	if all == 0 {
		return "0.0 %"
	}
	return fmt.Sprintf("%.1f %%", float64(part)*100/float64(all))
}

func newImageList(o *imageOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls [REPOSITORY]",
		Aliases: []string{"list"},
		Short:   "List the images of a repository, or of a whole DVCR",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := o.list(cmd.Context(), args)
			if err != nil {
				return err
			}
			if o.output != "table" {
				return o.output.printValue(cmd.OutOrStdout(), all)
			}
			t := imageInfo{}.table()
			t.rows = nil
			for _, i := range all {
				t.rows = append(t.rows, i.row())
			}
			t.write(cmd.OutOrStdout())
			return nil
		},
	}
	o.output.register(cmd)
	return cmd
}

func (o *imageOptions) list(ctx context.Context, args []string) ([]imageInfo, error) {
	l, err := locate(strings.Join(args, ""), o.defaultRegistry())
	if err != nil {
		return nil, err
	}
	client, err := o.client(ctx, l.host)
	if err != nil {
		return nil, err
	}
	names := []string{l.repository}
	if len(args) == 0 {
		if names, err = client.Repositories(ctx); err != nil {
			return nil, err
		}
	}
	all := []imageInfo{}
	for _, name := range names {
		repository, err := client.Repository(name)
		if err != nil {
			return nil, err
		}
		some, err := listRepository(ctx, repository, location{host: l.host, repository: name})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// listRepository leaves out what is not a disk, such as signatures.
func listRepository(ctx context.Context, repository *remote.Repository, l location) ([]imageInfo, error) {
	var all []imageInfo
	err := repository.Tags(ctx, "", func(tags []string) error {
		for _, tag := range tags {
			l.reference = tag
			info, err := disk.Inspect(ctx, repository, tag)
			if errors.Is(err, disk.ErrNotArtifact) {
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, describeImage(l, info))
		}
		return nil
	})
	var answer *errcode.ErrorResponse
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("list %s/%s: the registry has no such repository", l.host, l.repository)
	}
	if err != nil {
		return nil, fmt.Errorf("list %s/%s: %w", l.host, l.repository, err)
	}
	return all, nil
}

func newImageRemove(o *imageOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "rm REFERENCE",
		Short: "Remove an image; what it alone needs is freed by the next garbage collection",
		Args:  exactArgs(1, "a reference"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, repository, err := o.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			removed, err := removeImage(cmd.Context(), repository, l.reference)
			if err != nil {
				return fmt.Errorf("remove %s: %w", l, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "removed %s (%s)\n", l, removed)
			return nil
		},
	}
}

// removeImage takes an image away. Registries forget all tags of a manifest that is deleted, so where it has others only the
// tag goes; a digest removes it under all of them.
func removeImage(ctx context.Context, repository *remote.Repository, reference string) (digest.Digest, error) {
	desc, err := repository.Resolve(ctx, reference)
	if err != nil {
		return "", err //nolint:wrapcheck // the caller names the image
	}
	shared := false
	if !strings.Contains(reference, ":") {
		if shared, err = hasOtherTags(ctx, repository, reference, desc.Digest); err != nil {
			return "", err
		}
	}
	if shared {
		return desc.Digest, untag(ctx, repository, reference)
	}
	return desc.Digest, repository.Delete(ctx, desc) //nolint:wrapcheck // see above
}

func hasOtherTags(ctx context.Context, repository *remote.Repository, tag string, d digest.Digest) (bool, error) {
	found := false
	err := repository.Tags(ctx, "", func(tags []string) error {
		for _, other := range tags {
			if other == tag || found {
				continue
			}
			desc, err := repository.Resolve(ctx, other)
			if err != nil && !errors.Is(err, errdef.ErrNotFound) {
				return err //nolint:wrapcheck // see below
			}
			found = desc.Digest == d
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for other tags of the image: %w", err)
	}
	return found, nil
}

// untag removes a tag alone, which the library does not offer.
func untag(ctx context.Context, repository *remote.Repository, tag string) error {
	ref := repository.Reference
	scheme := "https"
	if repository.PlainHTTP {
		scheme = "http"
	}
	ctx = auth.AppendRepositoryScope(ctx, ref, auth.ActionPull, auth.ActionDelete)
	address := fmt.Sprintf("%s://%s/v2/%s/manifests/%s", scheme, ref.Host(), ref.Repository, tag)
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, nil)
	if err != nil {
		return fmt.Errorf("remove the tag: %w", err)
	}
	resp, err := repository.Client.Do(req)
	if err != nil {
		return fmt.Errorf("remove the tag: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the image has other tags, and the registry does not remove one alone (it answered %s); name its digest to remove it under all of them", resp.Status)
	}
	return nil
}

func newImageCollect(o *imageOptions) *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Free what no image and no disk of the cluster needs in its DVCR",
		Long: `Free what no image and no disk of the cluster needs in its DVCR. Imports go on meanwhile:
what was used within the grace period is kept, and so is everything in the first hour after
DVCR was started.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := o.connect()
			if err != nil {
				return err
			}
			live, err := garbage.Live(cmd.Context(), cluster.reader)
			if err != nil {
				return err
			}
			host := o.defaultRegistry()
			if host == "" {
				return usageError{errors.New("no platform runs here; name its DVCR by --registry")}
			}
			client, err := o.client(cmd.Context(), host)
			if err != nil {
				return err
			}
			report, err := client.Collect(cmd.Context(), live, grace)
			if err != nil {
				return err
			}
			if o.output != "table" {
				return o.output.printValue(cmd.OutOrStdout(), report)
			}
			table{
				header: []string{"TAGS", "MANIFESTS", "BLOBS", "FREED", "REPACKED"},
				rows:   [][]string{{fmt.Sprint(report.Tags), fmt.Sprint(report.Manifests), fmt.Sprint(report.Blobs), quantity(report.Bytes), fmt.Sprint(report.Repacked)}},
			}.write(cmd.OutOrStdout())
			return nil
		},
	}
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "keep what was used this recently")
	o.output.register(cmd)
	return cmd
}
