package keyring

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/test/kubetest"
)

const host = "slipway-dvcr.slipway-system.svc"

func TestNeeds(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	ours, err := renew(nil, everything, host, now)
	if err != nil {
		t.Fatal(err)
	}
	without := func(keys ...string) map[string][]byte {
		data := maps.Clone(ours)
		for _, key := range keys {
			delete(data, key)
		}
		return data
	}
	other, err := renew(nil, everything, host, now)
	if err != nil {
		t.Fatal(err)
	}
	mixed := maps.Clone(ours)
	mixed[corev1.TLSCertKey], mixed[corev1.TLSPrivateKeyKey] = other[corev1.TLSCertKey], other[corev1.TLSPrivateKeyKey]
	foreign := without(authorityKey)
	spoiled := maps.Clone(foreign)
	spoiled[corev1.TLSPrivateKeyKey] = []byte("none")
	cases := map[string]struct {
		data map[string][]byte
		host string
		at   time.Time
		want renewal
		err  error
	}{
		"empty":                          {nil, host, now, everything, nil},
		"new":                            {ours, host, now, nothing, nil},
		"three quarters of a year later": {ours, host, now.Add(certificateLife*3/4 + 2*time.Hour), certificate, nil},
		"eight years later":              {ours, host, now.Add(authorityLife * 8 / 10), everything, nil},
		"for another host":               {ours, "dvcr.example.com", now, certificate, nil},
		"from another authority":         {mixed, host, now, certificate, nil},
		"without a certificate":          {without(corev1.TLSCertKey), host, now, certificate, nil},
		"somebody else's":                {foreign, "dvcr.example.com", now.Add(2 * authorityLife), nothing, nil},
		"somebody else's, spoiled":       {spoiled, host, now, nothing, ErrBadCertificate},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := needs(c.data, c.host, c.at)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("needs %d, %v; want %d, %v", got, err, c.want, c.err)
			}
		})
	}
}

// TestKeeper: two replicas that start at once agree, a later one finds what they made, and the certificate is renewed in time
// under the same authority.
func TestKeeper(t *testing.T) {
	c, err := client.New(kubetest.Start(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	namespace := kubetest.Namespace(t, c)
	now := testclock.NewFakeClock(time.Now())
	keeper := func() *Keeper { return &Keeper{Client: c, Namespace: namespace, Host: host, Clock: now} }
	rings, failures := make(chan Ring, 2), make(chan error, 2)
	for range 2 {
		go func() {
			ring, err := keeper().Ensure(t.Context())
			failures <- err
			rings <- ring
		}()
	}
	if err := errors.Join(<-failures, <-failures); err != nil {
		t.Fatal(err)
	}
	one, other := <-rings, <-rings
	if !bytes.Equal(one.Key, other.Key) || !bytes.Equal(one.Authority, other.Authority) || len(one.Authority) == 0 {
		t.Fatal("two replicas hold different rings")
	}
	third := keeper()
	again, err := third.Ensure(t.Context())
	if err != nil || !bytes.Equal(again.Key, one.Key) || !bytes.Equal(again.Authority, one.Authority) {
		t.Fatalf("the next process holds another ring (%v)", err)
	}

	secret := &corev1.Secret{}
	read := func() map[string][]byte {
		t.Helper()
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: CertificateSecret}, secret); err != nil {
			t.Fatal(err)
		}
		return secret.Data
	}
	before := read()
	now.SetTime(now.Now().Add(certificateLife))
	if authority, err := third.certificate(t.Context()); err != nil || !bytes.Equal(authority, one.Authority) {
		t.Fatalf("renewed under another authority (%v)", err)
	}
	if after := read(); bytes.Equal(before[corev1.TLSCertKey], after[corev1.TLSCertKey]) {
		t.Error("the certificate was not renewed")
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- third.Start(ctx) }()
	read()
	secret.Data = nil // an administrator empties it
	if err := c.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	for !now.HasWaiters() {
		runtime.Gosched()
	}
	now.Step(often)
	if err := <-ended; !errors.Is(err, ErrAuthorityChanged) {
		t.Errorf("ended with %v", err)
	}
}

func TestWeakKey(t *testing.T) {
	c, err := client.New(kubetest.Start(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	namespace := kubetest.Namespace(t, c)
	weak := &corev1.Secret{Data: map[string][]byte{keyEntry: []byte("password")}}
	weak.Namespace, weak.Name = namespace, KeySecret
	if err := c.Create(t.Context(), weak); err != nil {
		t.Fatal(err)
	}
	keeper := &Keeper{Client: c, Namespace: namespace, Host: host, Clock: testclock.NewFakeClock(time.Now())}
	if _, err := keeper.Ensure(t.Context()); err == nil {
		t.Error("a key that can be guessed is taken")
	}
}
