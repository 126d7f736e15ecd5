package verify_test

import (
	"errors"
	"strings"
	"testing"

	"slipway.dev/slipway/sources/verify"
)

// TestCVE_2026_45022: a signature of one commit or tag, in an object that a lenient parser reads as what was signed and Git
// as something else. What is verified are the bytes as they are.
func TestCVE_2026_45022(t *testing.T) {
	carol := ed(t)
	trusted, err := verify.ParseKeys(map[string][]byte{"carol": []byte(authorized(carol))})
	if err != nil {
		t.Fatal(err)
	}
	signed := string(commit(unsigned, signSSH(t, carol, "git", unsigned, "")))
	tag := tagText + signSSH(t, carol, "git", tagText, "")
	if _, err := trusted.Commit([]byte(signed)); err != nil {
		t.Fatal(err)
	}
	if _, err := trusted.Tag([]byte(tag), "v1.0.0", commitID); err != nil {
		t.Fatal(err)
	}
	const evil = "tree 1111111111111111111111111111111111111111\n"
	const mallory = " M <m@example.com> 1 +0000\n"
	instead := func(old, with string) string { return strings.Replace(signed, old, with, 1) }
	for name, raw := range map[string]string{
		"a tree before":             evil + signed,
		"a tree behind":             instead("author", evil+"author"),
		"a tree behind the headers": instead("gpgsig", evil+"gpgsig"),
		"a parent":                  instead("author", "parent "+commitID+"\nauthor"),
		"a parent behind":           instead("gpgsig", "parent "+commitID+"\ngpgsig"),
		"an author before":          instead("author", "author"+mallory+"author"),
		"a committer behind":        instead("gpgsig", "committer"+mallory+"gpgsig"),
		"headers in another order":  instead("tree ", "encoding x\ntree "),
		"a header that goes on":     instead("\nauthor", "\n goes on\nauthor"),
		"an unknown header":         instead("gpgsig", "x y\ngpgsig"),
		"a NUL":                     instead("\ngpgsig", "\x00\ngpgsig"),
		"a carriage return":         instead("\nauthor", "\r\nauthor"),
		"a signature within":        instead("tree ", "gpgsig x\ntree "),
		"a message before":          instead("author", "\nauthor"),
	} {
		t.Run("commit with "+name, func(t *testing.T) {
			if raw == signed {
				t.Fatal("the commit is as it was")
			}
			if got, err := trusted.Commit([]byte(raw)); !errors.Is(err, verify.ErrInvalid) && !errors.Is(err, verify.ErrUnsigned) {
				t.Errorf("Commit() = %+v, %v; want it refused", got, err)
			}
		})
	}
	for name, raw := range map[string]string{
		"an object before": "object " + strings.Repeat("1", 40) + "\n" + tag,
		"an object behind": strings.Replace(tag, "tagger", "object "+strings.Repeat("1", 40)+"\ntagger", 1),
		"a type":           strings.Replace(tag, "type", "type tree\ntype", 1),
		"a name":           strings.Replace(tag, "tagger", "tag v1.0.0\ntagger", 1),
		"another tagger":   strings.Replace(tag, "tagger", "tagger"+mallory+"tagger", 1),
	} {
		t.Run("tag with "+name, func(t *testing.T) {
			if got, err := trusted.Tag([]byte(raw), "v1.0.0", commitID); !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("Tag() = %+v, %v; want ErrInvalid", got, err)
			}
		})
	}
}
