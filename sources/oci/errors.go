package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/archive"
	"slipway.dev/slipway/sources/fault"
)

var (
	// ErrAuth says that the registry refused the credentials, or wants some.
	ErrAuth = errors.New("authentication failed")
	// ErrNotFound says that the repository, the tag or the digest is not there.
	ErrNotFound = errors.New("not found")
	// ErrUnreachable says that the registry could not be reached or did not answer in time.
	ErrUnreachable = errors.New("registry is unreachable")
	// ErrRefused says that we do not take it: an address, a size, a kind of content or content that is not what its digest
	// says.
	ErrRefused = errors.New("refused")
)

// Error is what went wrong with a remote. Its kind is one of the errors of this package, or nil.
type Error = fault.Error

// fail makes an Error from whatever came back.
func (r Remote) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	detail, kind := classify(err)
	return fault.New(op, r.URL, kind, detail, r.Scrubber())
}

func (r Remote) errorf(op string, kind error, format string, a ...any) error {
	return fault.New(op, r.URL, kind, fmt.Sprintf(format, a...), r.Scrubber())
}

func classify(err error) (detail string, kind error) {
	var response *errcode.ErrorResponse
	switch {
	case errors.As(err, &response):
		return ofStatus(response)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return "the registry wants credentials; name a Secret of type kubernetes.io/dockerconfigjson that has some for this host", ErrAuth
	case errors.Is(err, egress.ErrForbidden), errors.Is(err, archive.ErrRefused), errors.Is(err, egress.ErrRedirect):
		return err.Error(), ErrRefused
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData), errors.Is(err, content.ErrInvalidDescriptorSize):
		return "the registry sent other content than the digest says: " + err.Error(), ErrRefused
	case errors.Is(err, errdef.ErrNotFound):
		return "the registry has no such repository, tag or digest, or hides it from these credentials", ErrNotFound
	case certificate(err):
		return err.Error() + "; put the registry's authority into the Secret of certSecretRef as ca.crt", ErrUnreachable
	case unreachable(err):
		return err.Error(), ErrUnreachable
	}
	return err.Error(), nil
}

func ofStatus(r *errcode.ErrorResponse) (detail string, kind error) {
	switch {
	case r.StatusCode == http.StatusUnauthorized:
		return "the registry refused the credentials: " + r.Error(), ErrAuth
	case r.StatusCode == http.StatusForbidden:
		return "the credentials do not suffice: " + r.Error(), ErrAuth
	case r.StatusCode == http.StatusNotFound:
		return "the registry has no such repository, tag or digest, or hides it from these credentials", ErrNotFound
	case r.StatusCode >= http.StatusInternalServerError, r.StatusCode == http.StatusTooManyRequests:
		return r.Error(), ErrUnreachable
	}
	return r.Error(), nil
}

func certificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	return errors.As(err, &verification) || errors.As(err, &authority)
}

func unreachable(err error) bool {
	var network net.Error
	var address *url.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.As(err, &network) || errors.As(err, &address)
}
