package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/local/platform"
)

// imageOptions are the flags of every image command.
type imageOptions struct {
	*globals
	registry string
	ca       string
	output   outputFlag
}

func newImage(g *globals) *cobra.Command {
	o := &imageOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Move disk images in and out of DVCR and other registries",
		Long: `A reference is REPOSITORY:TAG or REPOSITORY@DIGEST in the registry of the running
platform or of --registry, or HOST/REPOSITORY:TAG in any registry. Credentials come
from the platform, or else from ~/.docker/config.json.`,
		Example: `  slipway image push debian.qcow2 images/debian:12
  slipway image pull images/debian:12 debian.raw
  slipway image cp images/debian:12 registry.example/team/debian:12`,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.registry, "registry", "", "registry of references that name none (default: DVCR of the running platform)")
	flags.StringVar(&o.ca, "ca-file", "", "file with the registry's authority in PEM form")
	cmd.AddCommand(
		newImagePush(o), newImagePull(o), newImageCopy(o), newImageList(o), newImageInspect(o),
		newImageVerify(o), newImageDiff(o), newImageRemove(o), newImageCollect(o),
	)
	return cmd
}

// location is an image in a registry.
type location struct {
	host, repository, reference string
}

func (l location) String() string {
	if strings.Contains(l.reference, ":") {
		return l.host + "/" + l.repository + "@" + l.reference
	}
	return l.host + "/" + l.repository + ":" + l.reference
}

// locate reads a reference. Its first part is a host when it cannot be part of a repository's name, as Docker has it.
func locate(text, host string) (location, error) {
	text = strings.TrimPrefix(text, "docker://")
	first, rest, ok := strings.Cut(text, "/")
	if ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		host, text = first, rest
	}
	l := location{host: host, repository: text}
	if repository, digest, ok := strings.Cut(text, "@"); ok {
		l.repository, l.reference = repository, digest
	} else if i := strings.LastIndexByte(text, ':'); i > 0 {
		l.repository, l.reference = text[:i], text[i+1:]
	}
	if l.host == "" {
		return l, fmt.Errorf("find %s: no platform runs here, so name its registry in the reference or by --registry", text)
	}
	return l, nil
}

// find reads a reference that names a tag or a digest, and opens its repository.
func (o *imageOptions) find(ctx context.Context, text string) (location, *remote.Repository, error) {
	l, err := locate(text, o.defaultRegistry())
	if err != nil {
		return l, nil, err
	}
	if l.reference == "" {
		return l, nil, usageError{fmt.Errorf("%s names neither a tag nor a digest; write %s:TAG", text, text)}
	}
	client, err := o.client(ctx, l.host)
	if err != nil {
		return l, nil, err
	}
	repository, err := client.Repository(l.repository)
	return l, repository, err
}

func (o *imageOptions) defaultRegistry() string {
	if o.registry != "" {
		return o.registry
	}
	return o.platformRegistry()
}

// platformRegistry is empty when no platform runs.
func (o *imageOptions) platformRegistry() string {
	if !o.platformRuns() {
		return ""
	}
	ready, err := platform.ReadReady(o.layout())
	if err != nil {
		return ""
	}
	return ready.DVCR
}

func (o *imageOptions) client(ctx context.Context, host string) (*registry.Client, error) {
	login, err := o.login(ctx, host)
	if err != nil {
		return nil, err
	}
	var options []registry.Option
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, fmt.Errorf("read the registry's authority: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the registry's authority: %s holds no certificate in PEM form", o.ca)
		}
		options = append(options, registry.WithRoots(roots))
	}
	return registry.NewClient(host, login, options...), nil
}

func (o *imageOptions) login(ctx context.Context, host string) (registry.Credentials, error) {
	if host == o.platformRegistry() {
		return registry.ReadCredentials(o.layout().DVCR())
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return registry.Credentials{}, fmt.Errorf("read Docker's configuration: %w", err)
	}
	c, err := credentials.Credential(store)(ctx, host)
	if err != nil {
		return registry.Credentials{}, fmt.Errorf("find credentials for %s: %w", host, err)
	}
	return registry.Credentials{Username: c.Username, Password: c.Password}, nil
}

// progressBar draws how far an operation has come, on a terminal only.
type progressBar struct {
	out  io.Writer
	what string
	last int64
}

func newBar(out io.Writer, what string) *progressBar {
	if file, ok := out.(*os.File); !ok || !term.IsTerminal(int(file.Fd())) {
		out = nil
	}
	return &progressBar{out: out, what: what, last: -1}
}

const barWidth = 40

func (b *progressBar) show(p disk.Progress) {
	if b.out == nil {
		return
	}
	const mib = 1 << 20
	if p.Total <= 0 {
		if n := p.Done / mib; n != b.last {
			b.last = n
			fmt.Fprintf(b.out, "\r\x1b[K%s  %d MiB", b.what, n)
		}
		return
	}
	if n := p.Done * 1000 / p.Total; n != b.last {
		b.last = n
		full := int(n) * barWidth / 1000
		fmt.Fprintf(b.out, "\r\x1b[K%s  [%s%s] %d.%d %%", b.what, strings.Repeat("#", full), strings.Repeat(" ", barWidth-full), n/10, n%10)
	}
}

func (b *progressBar) done() {
	if b.out != nil {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
