package route

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
)

// Bounds on "~regexp" hosts. They make the cost of the worst name known when a file is loaded: every name byte costs one
// table lookup per expression, whatever the expression (see BenchmarkMatchExpressions).
const (
	maxExpressions      = 1000    // per table
	maxExpressionSource = 512     // bytes; a name has 253
	maxExpressionInsts  = 4096    // of the compiled program, which bounds the work of building the automaton
	maxExpressionStates = 4096    // of the automaton
	maxExpressionCells  = 8 << 20 // of all automata of a table together: 16 MiB
)

// expression is a compiled "~regexp" host. It is never changed.
type expression struct {
	canonical string // two expressions with the same canonical text match the same names
	suffix    string // every match ends in this; may be empty
	automaton
}

// compileExpression reads the source of a "~regexp" host: RE2 syntax (regexp/syntax), case-insensitive, and
// anchored at both ends, because "~example.com" would also match example.com.evil.org.
func compileExpression(source string) (*expression, error) {
	if len(source) > maxExpressionSource {
		return nil, fmt.Errorf("regexp has %d bytes; at most %d are allowed", len(source), maxExpressionSource)
	}
	re, err := syntax.Parse(source, syntax.Perl|syntax.FoldCase)
	if err != nil {
		return nil, explainSyntax(err)
	}
	switch {
	case !anchored(re, syntax.OpBeginText, 0):
		return nil, fmt.Errorf("regexp must start with ^ (in every branch), or it also matches names that only contain it")
	case !anchored(re, syntax.OpEndText, -1):
		return nil, fmt.Errorf("regexp must end with $ (in every branch), or it also matches names that only start with it")
	}
	canonical := re.String()
	suffix := literalSuffix(re)
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, explainSyntax(err)
	}
	dfa, err := buildAutomaton(prog)
	if err != nil {
		return nil, err
	}
	return &expression{canonical: canonical, suffix: suffix, automaton: dfa}, nil
}

// anchored reports whether every match of re begins (at = 0) or ends (at = -1) with the anchor op.
func anchored(re *syntax.Regexp, op syntax.Op, at int) bool {
	switch re.Op {
	case op:
		return true
	case syntax.OpCapture:
		return anchored(re.Sub[0], op, at)
	case syntax.OpConcat:
		if at < 0 {
			at = len(re.Sub) - 1
			return anchored(re.Sub[at], op, -1)
		}
		return anchored(re.Sub[0], op, 0)
	case syntax.OpAlternate:
		for _, branch := range re.Sub {
			if !anchored(branch, op, at) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// literalSuffix returns the text every match of re ends in, as far as it is written out before the final $.
func literalSuffix(re *syntax.Regexp) string {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpConcat {
		return ""
	}
	n := len(re.Sub)
	if n < 2 || re.Sub[n-1].Op != syntax.OpEndText || re.Sub[n-2].Op != syntax.OpLiteral {
		return ""
	}
	return strings.ToLower(string(re.Sub[n-2].Rune))
}

// explainSyntax takes the package's own prefix off an error of regexp/syntax.
func explainSyntax(err error) error {
	var syntaxErr *syntax.Error
	if errors.As(err, &syntaxErr) {
		return fmt.Errorf("regexp: %s: %s", syntaxErr.Code, syntaxErr.Expr)
	}
	return fmt.Errorf("regexp: %w", err)
}
