package registry

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"
)

func TestMay(t *testing.T) {
	type rights struct{ Pull, Push, Delete bool }
	all, read, none := rights{true, true, true}, rights{Pull: true}, rights{}
	cases := map[string]struct {
		name  string
		admin bool
		want  map[string]rights
	}{
		"administrator": {name: "slipway", admin: true, want: map[string]rights{
			"cvi/debian": all, "vi/team/debian": all, "vd/other/data": all, "anything": all,
		}},
		"reader": {name: "reader", want: map[string]rights{
			"cvi/debian": read, "vi/team/debian": read, "vd/other/data": read, "anything": read,
		}},
		"reader of a namespace": {name: "reader.team", want: map[string]rights{
			"cvi/debian": read, "vi/team/debian": read, "vd/team/data": read,
			"vi/other/debian": none, "vd/other/data": none, "vi/team": none, "vi/team/": none, "team/debian": none, "cvi": none,
			"vi/team-2/debian": none, "x/vi/team/debian": none,
		}},
		"writer of a namespace": {name: "writer.team", want: map[string]rights{
			"cvi/debian": read, "vi/team/debian": all, "vd/team/data": all,
			"vi/other/debian": none, "anything": none, "vi/team.x/debian": none,
		}},
		"importer": {name: "importer.vi/team/debian", want: map[string]rights{
			"cvi/debian": read, "vi/team/debian": {Pull: true, Push: true}, "vi/team/debian2": read, "vd/team/data": read,
			"vi/other/debian": none, "anything": none, "": none,
		}},
		"importer of a cluster image": {name: "importer.cvi/debian", want: map[string]rights{
			"cvi/debian": {Pull: true, Push: true}, "cvi/other": read, "vi/team/debian": none, "anything": none,
		}},
		"importer of nothing known": {name: "importer.vi/", want: map[string]rights{"vi/team/debian": none, "vi//debian": none, "cvi/debian": read}},
		"controller":                {name: "controller", want: map[string]rights{"vi/team/debian": all, "anything": all}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			id, ok := identify(c.name)
			if ok == c.admin {
				t.Fatalf("identify(%q) is derived: %t", c.name, ok)
			}
			id.all = id.all || c.admin
			got := map[string]rights{}
			for repository := range c.want {
				got[repository] = rights{id.may(actionPull, repository), id.may(actionPush, repository), id.may(actionDelete, repository)}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokensEndAndCannotBeForged(t *testing.T) {
	now := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
	tokens := &tokens{key: []byte("one key"), clock: now}
	token, err := tokens.issue("reader.team")
	if err != nil {
		t.Fatal(err)
	}
	id, err := tokens.read(token)
	if err != nil || id.namespace != "team" || id.all || id.write {
		t.Errorf("read %+v, %v", id, err)
	}
	stranger := *tokens
	stranger.key = []byte("another key")
	foreign, err := stranger.issue("slipway")
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{"foreign": foreign, "empty": "", "cut off": token[:len(token)-1], "unsigned": token[:10] + "."} {
		if id, err := tokens.read(bad); err == nil {
			t.Errorf("a token that is %s lets %+v in", name, id)
		}
	}
	now.SetTime(now.Now().Add(tokenLifetime))
	if _, err := tokens.read(token); err == nil {
		t.Error("a token lives for ever")
	}
}

// TestCVE_2025_24976: a token that brings the key it is signed with, in the header of a JSON web token, or no signature.
func TestCVE_2025_24976(t *testing.T) {
	now := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
	mine, theirs := &tokens{key: []byte("one key"), clock: now}, &tokens{key: []byte("another key"), clock: now}
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	body := encode(`{"sub":"slipway","exp":2000000000}`)
	if _, err := theirs.read(body + "." + theirs.sign(body)); err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]string{
		"its key":      `{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"` + encode("another key") + `"}}`,
		"a known name": `{"alg":"HS256","kid":"slipway-dvcr","jwk":{"kty":"oct","k":"` + encode("another key") + `"}}`,
		"no algorithm": `{"alg":"none"}`,
	} {
		signed := encode(header) + "." + body
		for _, token := range []string{signed + "." + theirs.sign(signed), signed + ".", body + "." + theirs.sign(body) + "." + encode(header)} {
			if id, err := mine.read(token); err == nil {
				t.Errorf("a token with %s lets %+v in", name, id)
			}
		}
	}
}
