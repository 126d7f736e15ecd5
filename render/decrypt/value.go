package decrypt

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// sealed is the form of an encrypted value.
var sealed = regexp.MustCompile(`^ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$`)

// plain is a value in clear: its text, and the type that SOPS noted down.
type plain struct{ text, kind string }

// unseal decrypts a value. The path of keys that leads to it is authenticated with it. An empty text is not encrypted.
func unseal(text string, key []byte, path string) (plain, error) {
	if text == "" {
		return plain{"", "str"}, nil
	}
	parts := sealed.FindStringSubmatch(text)
	if parts == nil {
		return plain{}, damaged("a value that should be encrypted is not")
	}
	var raw [3][]byte
	for i := range raw {
		var err error
		if raw[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil {
			return plain{}, damaged("a value is not well formed")
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return plain{}, damaged("its data key has the wrong length")
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(raw[1]))
	if err != nil || len(raw[2]) != gcm.Overhead() {
		return plain{}, damaged("a value is not well formed")
	}
	clear, err := gcm.Open(nil, raw[1], append(raw[0], raw[2]...), []byte(path))
	if err != nil {
		return plain{}, damaged("a value was changed or moved after it was encrypted")
	}
	return typed(plain{string(clear), parts[4]})
}

// typed brings a value into the form that goes into the MAC.
func typed(p plain) (plain, error) {
	var err error
	switch p.kind {
	case "str", "bytes", "comment":
	case "int":
		var n int
		n, err = strconv.Atoi(p.text)
		p.text = strconv.Itoa(n)
	case "float":
		var f float64
		f, err = strconv.ParseFloat(p.text, 64)
		p.text = formatFloat(f)
	case "bool":
		var b bool
		b, err = strconv.ParseBool(p.text)
		p.text = formatBool(b)
	case "time":
		var t time.Time
		t, err = time.Parse(time.RFC3339Nano, p.text)
		p.text = t.Format(time.RFC3339Nano)
	default:
		return p, damaged("a value has the unknown type " + p.kind)
	}
	if err != nil {
		return p, damaged("a value is not of the type " + p.kind)
	}
	return p, nil
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// formatBool writes booleans as SOPS does, whose first version was in Python.
func formatBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// trail is a path of keys as it is authenticated.
func trail(path []string) string { return strings.Join(path, ":") + ":" }
