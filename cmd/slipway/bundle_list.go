package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/sources/oci"
)

// listed is one line of bundle ls.
type listed struct {
	Tag      string `json:"tag"`
	Digest   string `json:"digest"`
	Revision string `json:"revision,omitempty"`
	Source   string `json:"source,omitempty"`
	Created  string `json:"created,omitempty"`
}

func newBundleList(o *bundleOptions) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "ls oci://HOST/REPOSITORY",
		Aliases: []string{"list"},
		Short:   "List the bundles of a repository",
		Args:    exactArgs(1, "a URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			repository, _, err := o.open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := listBundles(cmd.Context(), repository, limit)
			if err != nil {
				return err
			}
			return o.printList(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "list at most so many tags, the last in order of their names")
	o.output.register(cmd)
	return cmd
}

func listBundles(ctx context.Context, repository *oci.Repository, limit int) ([]listed, error) {
	tags, err := repository.Tags(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(tags)
	all := []listed{}
	for _, tag := range tags[max(0, len(tags)-limit):] {
		raw, desc, err := repository.Manifest(ctx, tag)
		if err != nil {
			return nil, err
		}
		var manifest ocispec.Manifest
		if err := json.Unmarshal(raw, &manifest); err != nil {
			return nil, fmt.Errorf("read the manifest of tag %s: %w", tag, err)
		}
		a := manifest.Annotations
		all = append(all, listed{
			Tag: tag, Digest: desc.Digest.String(),
			Revision: a[ocispec.AnnotationRevision], Source: a[ocispec.AnnotationSource], Created: a[ocispec.AnnotationCreated],
		})
	}
	return all, nil
}

func (o *bundleOptions) printList(out io.Writer, all []listed) error {
	if o.output != "table" {
		return o.output.printValue(out, all)
	}
	t := table{header: []string{"TAG", "DIGEST", "REVISION", "CREATED"}}
	for _, l := range all {
		t.rows = append(t.rows, []string{l.Tag, l.Digest, l.Revision, l.Created})
	}
	t.write(out)
	return nil
}

func newBundleTag(o *bundleOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tag oci://HOST/REPOSITORY:TAG NEW...",
		Short: "Give a bundle further tags",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("want a URL and one tag or more, got %d arguments", len(args))}
			}
			return o.tag(cmd, args[0], args[1:])
		},
	}
	o.output.register(cmd)
	return cmd
}

func (o *bundleOptions) tag(cmd *cobra.Command, url string, tags []string) error {
	repository, ref, err := o.open(cmd.Context(), url)
	if err != nil {
		return err
	}
	revision, err := repository.Resolve(cmd.Context(), ref)
	if err != nil {
		return err
	}
	all := []listed{}
	for _, tag := range tags {
		if _, err := repository.Tag(cmd.Context(), revision.Digest, tag); err != nil {
			return err
		}
		all = append(all, listed{Tag: tag, Digest: revision.Digest})
	}
	return o.printList(cmd.OutOrStdout(), all)
}

// printValue writes anything as JSON or YAML.
func (o outputFlag) printValue(out io.Writer, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	content = append(content, '\n')
	if err == nil && o == "yaml" {
		content, err = yaml.JSONToYAML(content)
	}
	if err == nil {
		_, err = out.Write(content)
	}
	if err != nil {
		return fmt.Errorf("print as %s: %w", o, err)
	}
	return nil
}
