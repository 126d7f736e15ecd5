package decrypt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func keys(t testing.TB, names ...string) *Keys {
	t.Helper()
	data := map[string][]byte{"notes.txt": []byte("not a key")}
	for _, name := range names {
		data[name] = read(t, name)
	}
	k, err := ParseKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestFilesThatSOPSWrote(t *testing.T) {
	tests := map[string]struct {
		file, clear string
		keys        []string
		exact       bool
	}{
		"all types":              {"types.yaml", "types.yaml", []string{"tenant.agekey"}, false},
		"JSON":                   {"config.json", "config.json", []string{"tenant.agekey"}, false},
		"dotenv":                 {"vars.env", "vars.env", []string{"tenant.agekey"}, false},
		"binary":                 {"blob.bin", "blob.bin", []string{"tenant.agekey"}, true},
		"Secret":                 {"secret.yaml", "secret.yaml", []string{"tenant.agekey"}, true},
		"Secret of two":          {"secret.yaml", "secret.yaml", []string{"other.agekey"}, true},
		"PGP":                    {"secret-pgp.yaml", "secret.yaml", []string{"tenant.asc"}, true},
		"one of several keys":    {"secret-pgp.yaml", "secret.yaml", []string{"other.agekey", "tenant.asc"}, true},
		"sum of a part":          {"secret-part.yaml", "secret.yaml", []string{"tenant.agekey"}, true},
		"several documents":      {"several.yaml", "several.yaml", []string{"tenant.agekey"}, true},
		"two of three groups":    {"secret-groups.yaml", "secret.yaml", []string{"tenant.agekey", "other.agekey"}, true},
		"another two groups":     {"secret-groups.yaml", "secret.yaml", []string{"other.agekey", "tenant.asc"}, true},
		"all three groups":       {"secret-groups.yaml", "secret.yaml", []string{"tenant.agekey", "other.agekey", "tenant.asc"}, true},
		"not encrypted":          {"clear/secret.yaml", "secret.yaml", []string{"tenant.agekey"}, true},
		"not encrypted, no YAML": {"clear/blob.bin", "blob.bin", []string{"tenant.agekey"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := keys(t, test.keys...).File(test.file, read(t, test.file))
			if err != nil {
				t.Fatal(err)
			}
			want := read(t, "clear/"+test.clear)
			switch {
			case test.exact:
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Fatal(diff)
				}
			case strings.HasSuffix(test.file, ".env"):
				if diff := cmp.Diff(withoutComments(want), string(got)); diff != "" {
					t.Fatal(diff)
				}
			default:
				if diff := cmp.Diff(meaning(t, want), meaning(t, got)); diff != "" {
					t.Fatal(diff)
				}
			}
		})
	}
}

func withoutComments(text []byte) string {
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func meaning(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := sigsyaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestLinesStay(t *testing.T) {
	documents, err := parse(read(t, "several.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	before := documents[1].Content[len(documents[1].Content)-4].Line
	if err := keys(t, "tenant.agekey").Nodes(documents); err != nil {
		t.Fatal(err)
	}
	n := documents[1].Content
	if got := n[len(n)-2]; got.Value != "stringData" || got.Line != before {
		t.Errorf("%s in line %d, want stringData in line %d", got.Value, got.Line, before)
	}
}

// swapped exchanges the encrypted values of two fields, which are both genuine.
func swapped(t *testing.T, content []byte, a, b string) []byte {
	t.Helper()
	var first, second string
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case a:
			first = value
		case b:
			second = value
		}
	}
	if first == "" || second == "" {
		t.Fatalf("no %s or no %s", a, b)
	}
	return []byte(strings.NewReplacer(first, second, second, first).Replace(string(content)))
}

func TestRefusals(t *testing.T) {
	secret, types := read(t, "secret.yaml"), read(t, "types.yaml")
	replace := func(content []byte, from, to string) []byte {
		if !bytes.Contains(content, []byte(from)) {
			t.Fatalf("there is no %q", from)
		}
		return bytes.Replace(content, []byte(from), []byte(to), 1)
	}
	tests := map[string]struct {
		content []byte
		keys    *Keys
		says    string
	}{
		"no keys":                   {secret, nil, "spec.decryption.secretRef"},
		"no keys for dotenv":        {read(t, "vars.env"), nil, "spec.decryption.secretRef"},
		"keys of another tenant":    {read(t, "secret-other.yaml"), keys(t, "tenant.agekey", "tenant.asc"), "it is encrypted for age age1r07"},
		"age file, PGP key":         {read(t, "types.yaml"), keys(t, "tenant.asc"), "cannot be decrypted with the keys of spec.decryption"},
		"PGP file, age key":         {read(t, "secret-pgp.yaml"), keys(t, "tenant.agekey"), "PGP EA8B9C6A91D7E2CE0DE0BFE3810D190AF662BD3C"},
		"one of two groups":         {read(t, "secret-groups.yaml"), keys(t, "tenant.agekey"), "cannot be decrypted with the keys"},
		"key service":               {read(t, "secret-kms.yaml"), keys(t, "tenant.agekey"), "AWS KMS only, and key services are not asked"},
		"clear value changed":       {replace(secret, "name: cloud-init", "name: cloud-exit"), keys(t, "tenant.agekey"), "something was changed"},
		"clear value added":         {replace(secret, "type: Opaque", "type: Opaque\nimmutable: true"), keys(t, "tenant.agekey"), "something was changed"},
		"encrypted value emptied":   {replace(types, "text: ENC", "text: \"\" #"), keys(t, "tenant.agekey"), "something was changed"},
		"encrypted values swapped":  {swapped(t, types, "text", "quoted"), keys(t, "tenant.agekey"), "changed or moved"},
		"encrypted value in clear":  {replace(types, "text: ENC", "text: x #"), keys(t, "tenant.agekey"), "should be encrypted is not"},
		"encrypted value a number":  {replace(types, "text: ENC", "text: 1 #"), keys(t, "tenant.agekey"), "should be encrypted is not"},
		"type changed":              {replace(types, ",type:int]", ",type:bool]"), keys(t, "tenant.agekey"), "is not of the type bool"},
		"unknown type":              {replace(types, ",type:int]", ",type:code]"), keys(t, "tenant.agekey"), "unknown type"},
		"rule changed":              {replace(secret, "encrypted_regex: ^(data|stringData)$", "encrypted_regex: ^nothing$"), keys(t, "tenant.agekey"), "something was changed"},
		"rule that does not parse":  {replace(secret, "encrypted_regex: ^(data|stringData)$", "encrypted_regex: (("), keys(t, "tenant.agekey"), "regular expression"},
		"two rules":                 {replace(secret, "encrypted_regex:", "unencrypted_suffix: x\n    encrypted_regex:"), keys(t, "tenant.agekey"), "more than one rule"},
		"rule by comments":          {replace(secret, "encrypted_regex:", "encrypted_comment_regex:"), keys(t, "tenant.agekey"), "by comments"},
		"time changed":              {replace(secret, `lastmodified: "20`, `lastmodified: "21`), keys(t, "tenant.agekey"), "authentication code was changed"},
		"no time":                   {replace(secret, `lastmodified: "20`, `lastmodified: "x`), keys(t, "tenant.agekey"), "not a time"},
		"document added":            {append(bytes.Clone(read(t, "several.yaml")), []byte("---\na: b\nsops: {mac: x}\n")...), keys(t, "tenant.agekey"), "it names no key"},
		"alias":                     {replace(secret, "type: Opaque", "type: &x Opaque\nmore: *x"), keys(t, "tenant.agekey"), "alias"},
		"dotenv line added":         {replace(read(t, "vars.env"), "EMPTY=", "EMPTY=\nMORE=x"), keys(t, "tenant.agekey"), "should be encrypted is not"},
		"INI":                       {[]byte("[a]\nb = ENC[x]\n[sops]\nmac = ENC[x]\n"), keys(t, "tenant.agekey"), "INI"},
		"key group in dotenv":       {[]byte("sops_key_groups__list_0__map_age__list_0__map_enc=x\nsops_mac=y\n"), keys(t, "tenant.agekey"), "key groups"},
		"far too many keys, dotenv": {[]byte("sops_age__list_999999999__map_enc=x\nsops_mac=y\n"), keys(t, "tenant.agekey"), "key groups"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.keys.File("a.yaml", test.content)
			var refusal *Error
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("File() = %q, %v, want an error that says %q", got, err, test.says)
			}
			for _, secret := range []string{"hunter2", "AGE-SECRET", "ENC["} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%v\nshows %s", err, secret)
				}
			}
		})
	}
}

func TestKeysThatAreNone(t *testing.T) {
	tests := map[string]struct {
		data map[string][]byte
		says string
	}{
		"nothing":           {nil, "there is no private key"},
		"other names":       {map[string][]byte{"age.key": []byte("AGE-SECRET-KEY-1")}, "names that end in .agekey"},
		"not an age key":    {map[string][]byte{"a.agekey": []byte("AGE-SECRET-KEY-1HUNTER2")}, "key a.agekey: is not an age identity"},
		"not a PGP key":     {map[string][]byte{"a.asc": []byte("hunter2")}, "key a.asc: is not an armored PGP key"},
		"an age recipient":  {map[string][]byte{"a.agekey": []byte("age13w5emuj9f5n5thpetr7l8cpg3wgam6h9ev82l8zncz70vdtta3zskpw20g")}, "is not an age identity"},
		"a public PGP key":  {map[string][]byte{"a.asc": publicKey(t)}, "holds a public PGP key"},
		"a locked PGP key":  {map[string][]byte{"a.asc": lockedKey(t)}, "with a pass phrase"},
		"one good, one bad": {map[string][]byte{"a.agekey": read(t, "tenant.agekey"), "b.asc": nil}, "key b.asc"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKeys(test.data)
			var refusal *Error
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), test.says) || strings.Contains(strings.ToLower(err.Error()), "hunter2") {
				t.Errorf("ParseKeys() = %v, want an error that says %q and no key", err, test.says)
			}
		})
	}
}

func TestDigestOfKeys(t *testing.T) {
	a, b := keys(t, "tenant.agekey").Digest(), keys(t, "other.agekey").Digest()
	if a == b || a != keys(t, "tenant.agekey").Digest() || (*Keys)(nil).Digest() != "" {
		t.Error("digests do not tell keys apart")
	}
}

func FuzzFile(f *testing.F) {
	for _, name := range []string{"types.yaml", "config.json", "vars.env", "blob.bin", "several.yaml"} {
		f.Add(read(f, name))
	}
	k := keys(f, "tenant.agekey", "tenant.asc")
	f.Fuzz(func(t *testing.T, content []byte) {
		clear, err := k.File("a.yaml", content)
		var refusal *Error
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("File() = %v, want *Error", err)
		}
		if documents, problem := parse(clear); err == nil && problem == nil {
			for _, d := range documents {
				if d.Kind == yaml.MappingNode && Encrypted(d) && !bytes.Equal(clear, content) {
					t.Error("what was decrypted is still encrypted")
				}
			}
		}
	})
}
