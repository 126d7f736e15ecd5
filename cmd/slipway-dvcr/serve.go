package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/registry/s3"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	config       registry.Config
	cert, key    string
	keyFile      string
	bucket       s3.Bucket
	shutdownTime time.Duration
}

func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the registry until it is told to stop",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), cmd, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.config.Dir, "dir", "/var/lib/dvcr", "where the generated credentials are kept, and the blobs unless a bucket holds them")
	flags.StringVar(&o.config.Addr, "address", ":5000", "address to listen on")
	flags.StringVar(&o.config.Htpasswd, "htpasswd", "", "file with further users, in bcrypt")
	flags.BoolVar(&o.config.Tokens, "tokens", false, "exchange passwords for short-lived tokens")
	flags.StringVar(&o.keyFile, "key-file", "", "file with the key from which the logins of controllers, namespaces and imports follow (default: one made in --dir)")
	flags.StringVar(&o.bucket.Name, "s3-bucket", "", "S3 bucket that holds the blobs; login and trusted CAs come from the standard AWS_ variables and files")
	flags.StringVar(&o.bucket.Region, "s3-region", "", "region of the bucket (default: "+s3.DefaultRegion+")")
	flags.StringVar(&o.bucket.Endpoint, "s3-endpoint", "", "URL of an S3 server that is not Amazon's")
	flags.StringVar(&o.bucket.Prefix, "s3-prefix", "", "what stands before the keys of all objects, to share the bucket with others")
	flags.StringVar(&o.cert, "tls-cert", "", "certificate, in PEM, read again when it changes; without one the registry speaks plain HTTP")
	flags.StringVar(&o.key, "tls-key", "", "key of the certificate, in PEM")
	flags.DurationVar(&o.shutdownTime, "shutdown-time", 30*time.Second, "how long requests under way may take to finish")
	return cmd
}

func serve(ctx context.Context, cmd *cobra.Command, o serveOptions) error {
	o.config.Log = os.Stderr
	if err := o.readKey(); err != nil {
		return err
	}
	if err := o.chooseStorage(); err != nil {
		return err
	}
	watch, err := o.readCertificate()
	if err != nil {
		return err
	}
	server, err := registry.NewServer(o.config)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "serving on %s\n", server.Addr())
	watch(ctx)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.shutdownTime)
	defer cancel()
	return server.Close(stopping)
}

// chooseStorage takes the bucket where one is named.
func (o *serveOptions) chooseStorage() (err error) {
	if o.bucket == (s3.Bucket{}) {
		return nil
	}
	if o.config.Storage, err = o.bucket.Storage(); err != nil {
		return fmt.Errorf("--s3-bucket and the flags beside it: %w", err)
	}
	return nil
}

// readKey takes the key of --key-file.
func (o *serveOptions) readKey() error {
	if o.keyFile == "" {
		return nil
	}
	key, err := os.ReadFile(o.keyFile)
	if err != nil {
		return fmt.Errorf("--key-file: %w", err)
	}
	o.config.Key = bytes.TrimSpace(key)
	return nil
}

// readCertificate takes the certificate. What it returns takes it anew whenever its file changes, until ctx ends.
func (o *serveOptions) readCertificate() (watch func(ctx context.Context), err error) {
	if o.cert == "" {
		return func(ctx context.Context) { <-ctx.Done() }, nil
	}
	watcher, err := certwatcher.New(o.cert, o.key)
	if err != nil {
		return nil, fmt.Errorf("load the certificate: %w", err)
	}
	o.config.TLS = &tls.Config{GetCertificate: watcher.GetCertificate, MinVersion: tls.VersionTLS12}
	return func(ctx context.Context) {
		if err := watcher.Start(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "the certificate is not read again when it changes: %v\n", err)
		}
		<-ctx.Done()
	}, nil
}
