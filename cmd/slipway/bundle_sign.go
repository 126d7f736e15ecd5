package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"slipway.dev/slipway/internal/signatures/cosign"
	"slipway.dev/slipway/internal/signatures/notation"
	"slipway.dev/slipway/sources/oci"
)

// passwordVariable is where cosign looks for the password of a private key, too.
const passwordVariable = "COSIGN_PASSWORD"

// verdict is what bundle sign and bundle verify say.
type verdict struct {
	URL    string `json:"url"`
	Digest string `json:"digest"`
	Signer string `json:"signer"`
}

func newBundleSign(o *bundleOptions) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "sign --key FILE oci://HOST/REPOSITORY:TAG",
		Short: "Sign a bundle with a key of cosign's",
		Long: `Sign a bundle with an ECDSA P-256 key, as ` + "`cosign generate-key-pair`" + ` or OpenSSL makes it.
The password of an encrypted key is read from COSIGN_PASSWORD, else from the terminal.
The signature is kept where cosign and Flux look for it.`,
		Args: exactArgs(1, "a URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return usageError{errors.New("name the private key with --key FILE")}
			}
			return o.sign(cmd, args[0], key)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "file with the private key")
	o.output.register(cmd)
	return cmd
}

func (o *bundleOptions) sign(cmd *cobra.Command, url, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the private key: %w", err)
	}
	key, err := cosign.ParsePrivateKey(raw, func() ([]byte, error) { return askPassword(cmd) })
	if err != nil {
		return fmt.Errorf("use %s: %w", file, err)
	}
	repository, revision, err := o.resolve(cmd, url)
	if err != nil {
		return err
	}
	_, subject, err := repository.Manifest(cmd.Context(), revision.Digest)
	if err != nil {
		return err
	}
	if err := cosign.Sign(cmd.Context(), repository, repository.Name(), subject, key); err != nil {
		return err
	}
	return o.printVerdict(cmd, "signed", verdict{URL: url, Digest: revision.Digest, Signer: "key " + file})
}

func askPassword(cmd *cobra.Command) ([]byte, error) {
	if password, set := os.LookupEnv(passwordVariable); set {
		return []byte(password), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, fmt.Errorf("the private key is encrypted; set %s to its password", passwordVariable)
	}
	fmt.Fprint(cmd.ErrOrStderr(), "Password of the private key: ")
	defer fmt.Fprintln(cmd.ErrOrStderr())
	password, err := term.ReadPassword(int(os.Stdin.Fd()))
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	return password, nil
}

// resolve finds what a URL refers to.
func (o *bundleOptions) resolve(cmd *cobra.Command, url string) (*oci.Repository, oci.Revision, error) {
	repository, ref, err := o.open(cmd.Context(), url)
	if err != nil {
		return nil, oci.Revision{}, err
	}
	revision, err := repository.Resolve(cmd.Context(), ref)
	return repository, revision, err
}

// verifyOptions are the flags of bundle verify.
type verifyOptions struct {
	*bundleOptions
	keys                                   []string
	issuer, subject, trustedRoot, notation string
	certificates                           []string
}

func newBundleVerify(shared *bundleOptions) *cobra.Command {
	o := &verifyOptions{bundleOptions: shared}
	cmd := &cobra.Command{
		Use:   "verify oci://HOST/REPOSITORY:TAG",
		Short: "Check who signed a bundle",
		Example: `  slipway bundle verify --key cosign.pub oci://registry.example/team/vms:v1
  slipway bundle verify --trusted-root trusted_root.json --identity '.*@example.com' \
    --issuer https://accounts.example oci://registry.example/team/vms:v1
  slipway bundle verify --notation-policy trustpolicy.json --notation-cert ca.crt oci://registry.example/team/vms:v1`,
		Args: exactArgs(1, "a URL"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.verify(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.keys, "key", nil, "file with a public key of cosign's; repeatable")
	flags.StringVar(&o.trustedRoot, "trusted-root", "", "trusted_root.json that keyless signatures are checked against")
	flags.StringVar(&o.issuer, "issuer", "", "regular expression for the issuer of a keyless signature")
	flags.StringVar(&o.subject, "identity", "", "regular expression for the subject of a keyless signature")
	flags.StringVar(&o.notation, "notation-policy", "", "trust policy of notation")
	flags.StringSliceVar(&o.certificates, "notation-cert", nil, "certificate of notation's trust store; repeatable")
	o.output.register(cmd)
	return cmd
}

func (o *verifyOptions) verify(cmd *cobra.Command, url string) error {
	repository, revision, err := o.resolve(cmd, url)
	if err != nil {
		return err
	}
	_, subject, err := repository.Manifest(cmd.Context(), revision.Digest)
	if err != nil {
		return err
	}
	var signer string
	if o.notation != "" {
		verifier, err := o.notationVerifier()
		if err != nil {
			return err
		}
		signer, err = verifier.Verify(cmd.Context(), repository, repository.Name(), subject)
		if err != nil {
			return err
		}
		return o.printVerdict(cmd, "verified", verdict{URL: url, Digest: revision.Digest, Signer: signer})
	}
	verifier, err := o.cosignVerifier()
	if err != nil {
		return err
	}
	if signer, err = verifier.Verify(cmd.Context(), repository, subject); err != nil {
		return err
	}
	return o.printVerdict(cmd, "verified", verdict{URL: url, Digest: revision.Digest, Signer: signer})
}

// readFiles reads files into a map like a Secret's.
func readFiles(files map[string]string) (map[string][]byte, error) {
	data := map[string][]byte{}
	for key, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read what to verify with: %w", err)
		}
		data[key] = raw
	}
	return data, nil
}

func (o *verifyOptions) notationVerifier() (*notation.Verifier, error) {
	files := map[string]string{notation.PolicyKey: o.notation}
	for i, file := range o.certificates {
		files[fmt.Sprintf("%d.crt", i)] = file
	}
	data, err := readFiles(files)
	if err != nil {
		return nil, err
	}
	policy, err := notation.ParsePolicy(data)
	if err != nil {
		return nil, err
	}
	return notation.New(policy, anywhere)
}

func (o *verifyOptions) cosignVerifier() (*cosign.Verifier, error) {
	if len(o.keys) == 0 && o.trustedRoot == "" {
		return nil, usageError{errors.New("say whom to trust: --key FILE, or --trusted-root with --issuer and --identity, or --notation-policy with --notation-cert")}
	}
	var policy cosign.Policy
	files := map[string]string{}
	for _, file := range o.keys {
		files[file+".pub"] = file
	}
	data, err := readFiles(files)
	if err != nil {
		return nil, err
	}
	if len(o.keys) > 0 {
		if policy.Keys, err = cosign.ParseKeys(data); err != nil {
			return nil, err
		}
		return cosign.New(policy)
	}
	if policy.TrustedRoot, err = os.ReadFile(o.trustedRoot); err != nil {
		return nil, fmt.Errorf("read the trusted root: %w", err)
	}
	if o.issuer != "" && o.subject != "" {
		policy.Identities = []cosign.Identity{{Issuer: o.issuer, Subject: o.subject}}
	}
	return cosign.New(policy)
}

func (o *bundleOptions) printVerdict(cmd *cobra.Command, verb string, v verdict) error {
	if o.output != "table" {
		return o.output.printValue(cmd.OutOrStdout(), v)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n  digest    %s\n  signed by %s\n", verb, v.URL, v.Digest, v.Signer)
	return nil
}
