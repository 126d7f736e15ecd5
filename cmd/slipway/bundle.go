package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/oci"
)

// bundleOptions are the flags of every bundle command.
type bundleOptions struct {
	insecure      bool
	ca, cert, key string
	timeout       time.Duration
	output        outputFlag
}

func newBundle() *cobra.Command {
	o := &bundleOptions{}
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Move manifests as bundles in an OCI registry",
		Long: `A bundle is a directory of manifests in an OCI registry. Bundles of flux and oras are
read, and what is written here they read. Credentials come from ~/.docker/config.json.`,
		Example: `  slipway bundle push oci://registry.example/team/vms:v1 ./vms
  slipway bundle sign --key cosign.key oci://registry.example/team/vms:v1
  slipway bundle diff oci://registry.example/team/vms:v1 ./vms`,
	}
	flags := cmd.PersistentFlags()
	flags.BoolVar(&o.insecure, "insecure", false, "speak plain HTTP to the registry (always so on loopback)")
	flags.StringVar(&o.ca, "ca-file", "", "file with the registry's authority in PEM form")
	flags.StringVar(&o.cert, "cert-file", "", "file with a client certificate in PEM form")
	flags.StringVar(&o.key, "key-file", "", "file with the client certificate's key in PEM form")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "give up one operation after this long")
	cmd.AddCommand(
		newBundlePush(o), newBundlePull(o), newBundleTag(o), newBundleList(o), newBundleDiff(o), newBundleSign(o), newBundleVerify(o),
	)
	return cmd
}

// open finds a repository and what the end of its URL refers to.
func (o *bundleOptions) open(ctx context.Context, url string, options ...oci.Option) (*oci.Repository, oci.Ref, error) {
	repository, ref := oci.SplitURL(url)
	remote := oci.Remote{URL: repository, Insecure: o.insecure || loopback(repository), Timeout: o.timeout}
	var err error
	if remote.Logins, err = dockerLogins(ctx, repository); err != nil {
		return nil, ref, err
	}
	if remote.TLS, err = o.tls(); err != nil {
		return nil, ref, err
	}
	r, err := oci.NewClient(anywhere, options...).Repository(remote)
	return r, ref, err
}

// anywhere is the policy of a command: its user may reach whatever the machine may.
var anywhere = egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}

func hostOf(url string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(url, oci.Scheme), "/")
	return host
}

func loopback(url string) bool {
	host := hostOf(url)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// dockerLogins asks Docker's configuration, and the credential helpers that it names.
func dockerLogins(ctx context.Context, url string) ([]oci.Login, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("read Docker's configuration: %w", err)
	}
	host := hostOf(url)
	c, err := credentials.Credential(store)(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("find credentials for %s: %w", host, err)
	}
	if c.Username+c.Password+c.RefreshToken+c.AccessToken == "" {
		return nil, nil
	}
	return []oci.Login{{Scope: host, Username: c.Username, Password: c.Password, IdentityToken: c.RefreshToken, RegistryToken: c.AccessToken}}, nil
}

func (o *bundleOptions) tls() (oci.TLS, error) {
	var t oci.TLS
	for _, f := range []struct {
		path string
		into *[]byte
	}{{o.ca, &t.CA}, {o.cert, &t.Cert}, {o.key, &t.Key}} {
		if f.path == "" {
			continue
		}
		var err error
		if *f.into, err = os.ReadFile(f.path); err != nil {
			return t, fmt.Errorf("read certificates: %w", err)
		}
	}
	return t, nil
}

// needTag refuses a URL that does not say under which name to push.
func needTag(url string, ref oci.Ref) error {
	if ref.Tag == "" {
		return usageError{fmt.Errorf("%s names no tag; write %s:TAG", url, strings.SplitN(url, "@", 2)[0])}
	}
	return nil
}

// transfer shows how many bytes passed, once an operation takes longer than a second.
type transfer struct {
	bytes atomic.Int64
	stop  chan struct{}
	over  chan struct{}
}

// showTransfer writes to a terminal only. Its Done ends it.
func showTransfer(out io.Writer, what string) *transfer {
	t := &transfer{stop: make(chan struct{}), over: make(chan struct{})}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		close(t.over)
		return t
	}
	go t.show(out, what)
	return t
}

func (t *transfer) show(out io.Writer, what string) {
	defer close(t.over)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-t.stop:
			fmt.Fprint(out, "\r\x1b[K")
			return
		case <-ticker.C:
			fmt.Fprintf(out, "\r\x1b[K%s: %.1f MiB", what, float64(t.bytes.Load())/(1<<20))
		}
	}
}

func (t *transfer) meter() oci.Option { return oci.WithMeter(func(n int) { t.bytes.Add(int64(n)) }) }

// Done waits until nothing is shown any more.
func (t *transfer) Done() {
	close(t.stop)
	<-t.over
}

// directory opens a directory so that links cannot lead out of it.
func directory(path string) (*os.Root, error) {
	root, err := os.OpenRoot(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open %s: there is no such directory", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	return root, nil
}
