package expression

import (
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// maxValue is how long a string, a list or a map that an expression makes may be.
const maxValue = 1 << 20

// bounded stops an evaluation at the first call that yields too large a value.
// One call at most doubles what it is given: those that could do more, replace
// and join, look at the size beforehand.
func bounded(step interpreter.Interpretable) (interpreter.Interpretable, error) {
	if call, ok := step.(interpreter.InterpretableCall); ok {
		return boundedCall{call}, nil
	}
	return step, nil
}

type boundedCall struct{ interpreter.InterpretableCall }

// Eval implements interpreter.Interpretable.
func (c boundedCall) Eval(vars interpreter.Activation) ref.Val {
	result := c.InterpretableCall.Eval(vars)
	if sized, ok := result.(traits.Sizer); ok {
		if n, known := sized.Size().(types.Int); known && n > maxValue {
			return tooLarge()
		}
	}
	return result
}

func tooLarge() ref.Val {
	return types.NewErr("the expression makes a value of more than %d characters or elements", maxValue)
}

func boundedReplace() cel.EnvOption {
	replace := func(args ...ref.Val) ref.Val {
		text, before, after := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String))
		n := strings.Count(text, before)
		if len(args) == 4 {
			if limit := args[3].(types.Int); limit >= 0 {
				n = min(n, int(min(limit, maxValue)))
			}
		}
		if len(text)+n*len(after) > 4*maxValue { // as many bytes as so many characters can have
			return tooLarge()
		}
		return types.String(strings.Replace(text, before, after, n))
	}
	s := cel.StringType
	return cel.Function("replace",
		cel.MemberOverload("string_replace_string_string", []*cel.Type{s, s, s}, s, cel.FunctionBinding(replace)),
		cel.MemberOverload("string_replace_string_string_int", []*cel.Type{s, s, s, cel.IntType}, s, cel.FunctionBinding(replace)))
}

func boundedJoin() cel.EnvOption {
	list := cel.ListType(cel.StringType)
	return cel.Function("join",
		cel.MemberOverload("list_join", []*cel.Type{list}, cel.StringType, cel.UnaryBinding(func(of ref.Val) ref.Val {
			return join(of, types.String(""))
		})),
		cel.MemberOverload("list_join_string", []*cel.Type{list, cel.StringType}, cel.StringType, cel.BinaryBinding(join)))
}

func join(of, with ref.Val) ref.Val {
	var b strings.Builder
	between := string(with.(types.String))
	for it := of.(traits.Lister).Iterator(); it.HasNext() == types.True; {
		part, ok := it.Next().(types.String)
		if !ok {
			return types.NewErr("join needs a list of strings")
		}
		if b.Len()+len(between)+len(part) > 4*maxValue {
			return tooLarge()
		}
		if b.Len() > 0 {
			b.WriteString(between)
		}
		b.WriteString(string(part))
	}
	return types.String(b.String())
}
