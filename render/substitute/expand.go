package substitute

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/envsubst"
	"github.com/fluxcd/pkg/envsubst/parse"
)

// expansion is what became of one text.
type expansion struct {
	text   string
	secret string // the variable of a Secret that went into it
	failed bool
}

// maxExpressions bounds how many substitutions one text may hold: their parser calls itself for each.
const maxExpressions = 10_000

var errBadSubstitution = errors.New("the substitution does not parse")

// expand evaluates the substitutions of one text. What is wrong with them is noted.
func (r *run) expand(text string, path []string) expansion {
	var out expansion
	var asked string
	result, err := evaluate(text, func(name string) (string, bool) {
		value, secret, found := r.variables.lookup(name)
		asked = name
		if secret {
			out.secret = name
		}
		return value, found
	})
	if r.size += len(result); err == nil && r.size > maxObject {
		err = errTooLarge
	}
	if err == nil {
		out.text = result
		return out
	}
	out.failed, out.text = true, text
	switch {
	case errors.Is(err, errTooLarge):
		r.fault(path, "", err, "use smaller values")
	case errors.Is(err, errBadSubstitution):
		r.fault(path, "", err, "correct "+excerpt(text)+`, write "$${" for a "${" that shall stay, or annotate the object with `+Annotation+": "+Disabled)
	default:
		r.fault(path, asked, errors.New("the variable is not declared"), `declare it in spec.substitute or spec.substituteFrom, write "$${`+asked+`}" to keep it as it is, or annotate the object with `+Annotation+": "+Disabled)
	}
	return out
}

// evaluate keeps the parser's words to itself, because they may quote what it parses, and survives its panics.
func evaluate(text string, lookup func(string) (string, bool)) (result string, err error) {
	defer func() {
		if recover() != nil {
			err = errBadSubstitution
		}
	}()
	if strings.Count(text, "$") > maxExpressions {
		return "", errBadSubstitution
	}
	tree, err := parse.Parse(text)
	if err != nil {
		return "", errBadSubstitution
	}
	if !bounded(tree.Root, lookup) {
		return "", errTooLarge
	}
	template, err := envsubst.Parse(text)
	if err != nil {
		return "", errBadSubstitution
	}
	result, err = template.Execute(lookup)
	if err != nil {
		return "", fmt.Errorf("undeclared: %w", err)
	}
	return result, nil
}

// lone reports whether a text is one substitution and nothing else.
func lone(text string) bool {
	if !strings.HasPrefix(text, "${") || !strings.HasSuffix(text, "}") {
		return false
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			depth++
		case text[i] == '}':
			if depth--; depth == 0 {
				return i == len(text)-1
			}
		}
	}
	return false
}

// excerpt is the first substitution of a text as the source has it.
func excerpt(text string) string {
	const most = 40
	part := text[strings.Index(text, "${"):]
	if end := strings.IndexByte(part, '}'); end >= 0 {
		part = part[:end+1]
	}
	part, _, _ = strings.Cut(part, "\n")
	if len(part) > most {
		part = strings.ToValidUTF8(part[:most], "") + "…"
	}
	return part
}
