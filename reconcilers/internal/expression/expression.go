package expression

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

// Bounds of one expression.
const (
	// maxText is how long an expression may be, in bytes.
	maxText = 4096
	// maxCost is how many steps an evaluation may take.
	maxCost = 200_000
	// maxTime is how long it may take.
	maxTime = time.Second
	// interruptEvery is after how many turns of a loop the time is looked at.
	interruptEvery = 100
)

// ErrInvalid says that an expression cannot be used at all, whatever the values.
var ErrInvalid = errors.New("the CEL expression is invalid")

// Expression answers yes or no. It may be used by several goroutines.
type Expression struct {
	text    string
	program cel.Program
}

// base is the language: that of Flux, without its functions on sets and without
// formatting, whose cost cannot be bounded.
var base = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.HomogeneousAggregateLiterals(),
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(ext.StringsVersion(0)),
		ext.Encoders(),
		boundedReplace(),
		boundedJoin(),
	)
})

// Compile checks an expression over the named variables.
func Compile(text string, variables ...string) (*Expression, error) {
	return build(text, func(*cel.Ast) []string { return variables })
}

// CompileOver checks an expression whose variables are the fields of whatever
// object it is evaluated over.
func CompileOver(text string) (*Expression, error) {
	return build(text, freeNames)
}

func build(text string, variables func(*cel.Ast) []string) (*Expression, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: it has more than %d bytes; shorten it", ErrInvalid, maxText)
	}
	env, err := base()
	if err != nil {
		return nil, fmt.Errorf("prepare CEL: %w", err)
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, issues.Err())
	}
	declared := make([]cel.EnvOption, 0, 5)
	for _, name := range variables(parsed) {
		declared = append(declared, cel.Variable(name, cel.DynType))
	}
	if env, err = env.Extend(declared...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, issues.Err())
	}
	if kind := checked.OutputType(); !kind.IsExactType(cel.BoolType) && !kind.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("%w: it yields %s; it has to be true or false", ErrInvalid, kind)
	}
	program, err := env.Program(checked, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(interruptEvery), cel.CustomDecorator(bounded))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return &Expression{text: text, program: program}, nil
}

// freeNames are the names that an expression uses and does not bind itself.
func freeNames(parsed *cel.Ast) []string {
	var names []string
	bound := map[string]bool{}
	root := ast.NavigateAST(parsed.NativeRep())
	for _, loop := range ast.MatchDescendants(root, ast.KindMatcher(ast.ComprehensionKind)) {
		c := loop.AsComprehension()
		bound[c.IterVar()], bound[c.IterVar2()], bound[c.AccuVar()] = true, true, true
	}
	for _, ident := range ast.MatchDescendants(root, ast.KindMatcher(ast.IdentKind)) {
		name := ident.AsIdent()
		if !bound[name] && !slices.Contains(names, name) && !standard[name] {
			names = append(names, name)
		}
	}
	return names
}

// standard are the names that CEL itself gives a meaning.
var standard = map[string]bool{
	"bool": true, "bytes": true, "double": true, "duration": true, "dyn": true, "int": true, "list": true, "map": true,
	"null_type": true, "optional_type": true, "string": true, "timestamp": true, "type": true, "uint": true,
}

// Holds evaluates the expression.
func (e *Expression) Holds(ctx context.Context, values map[string]any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	result, _, err := e.program.ContextEval(ctx, values)
	if err != nil {
		return false, fmt.Errorf("evaluate %q: %w", e.text, err)
	}
	answer, decided := result.(types.Bool)
	if !decided {
		return false, fmt.Errorf("evaluate %q: it yields %s; it has to be true or false", e.text, result.Type().TypeName())
	}
	return bool(answer), nil
}
