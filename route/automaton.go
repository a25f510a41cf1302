package route

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
)

// automaton is a deterministic matcher for names, made from a regular expression when a file is loaded. Package
// regexp needs some 20 ns per byte and expression where the expression is not trivial, and a stranger chooses the
// name; one table lookup per byte holds a thousand expressions under a millisecond (R21, BenchmarkExpression). It is
// never changed.
type automaton struct {
	class   [256]uint8 // byte of a name -> column of next; bytes that no name has are in column 0
	columns int
	next    []uint16 // state*columns + column -> state; state 0 is dead
	accept  []bool   // by state: the name may end here
	start   uint16
}

// What an anchor sees at the ends of a name. A name has no newline, so lines are texts.
const (
	atStart = syntax.EmptyBeginText | syntax.EmptyBeginLine
	atEnd   = syntax.EmptyEndText | syntax.EmptyEndLine
)

// match reports whether the whole name matches.
func (a *automaton) match(name Name) bool {
	state := int(a.start)
	for i := range len(name.s) {
		state = int(a.next[state*a.columns+int(a.class[name.s[i]])])
		if state == 0 {
			return false
		}
	}
	return a.accept[state]
}

// buildAutomaton runs the subset construction over prog, whose matches are all anchored at both ends.
func buildAutomaton(prog *syntax.Prog) (automaton, error) {
	if len(prog.Inst) > maxExpressionInsts {
		return automaton{}, fmt.Errorf("regexp is too complex: over %d steps; use fewer or smaller repetitions", maxExpressionInsts)
	}
	for _, inst := range prog.Inst {
		if inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&^(atStart|atEnd) != 0 {
			return automaton{}, errors.New(`regexp: \b and \B are not supported`)
		}
	}
	b := builder{prog: prog, states: map[string]uint16{}, seen: make([]bool, len(prog.Inst))}
	b.classify()
	return b.build()
}

// builder makes an automaton. A state of it is a set of instructions of prog.
type builder struct {
	automaton
	prog   *syntax.Prog
	sets   [][]uint32        // by state
	states map[string]uint16 // set, encoded -> state
	sample []byte            // by column: one byte of it
	seen   []bool            // scratch of closure
}

// classify gives bytes that no instruction tells apart the same column, so that tables stay small.
func (b *builder) classify() {
	b.columns, b.sample = 1, []byte{0}
	columns := map[string]uint8{}
	for _, c := range []byte(nameBytes) {
		signature := make([]byte, len(b.prog.Inst))
		for pc := range b.prog.Inst {
			if takes(&b.prog.Inst[pc], c) {
				signature[pc] = 1
			}
		}
		column, ok := columns[string(signature)]
		if !ok {
			column = uint8(b.columns)
			columns[string(signature)] = column
			b.columns++
			b.sample = append(b.sample, c)
		}
		b.class[c] = column
	}
}

func (b *builder) build() (automaton, error) {
	b.add(nil) // the dead state
	b.start = b.add(b.closure([]uint32{uint32(b.prog.Start)}, atStart))
	for state := 0; state < len(b.sets); state++ {
		if len(b.sets) > maxExpressionStates {
			return automaton{}, fmt.Errorf("regexp is too complex: over %d states; use fewer or smaller repetitions", maxExpressionStates)
		}
		b.next = append(b.next, 0)
		for _, c := range b.sample[1:] {
			b.next = append(b.next, b.add(b.closure(b.after(b.sets[state], c), 0)))
		}
	}
	if !slices.ContainsFunc(b.next, func(state uint16) bool { return b.accept[state] }) {
		return automaton{}, errors.New("regexp can match no host name")
	}
	return b.automaton, nil
}

// add returns the state of a set, and makes one for a new set.
func (b *builder) add(set []uint32) uint16 {
	key := make([]byte, 0, 4*len(set))
	for _, pc := range set {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if state, ok := b.states[string(key)]; ok {
		return state
	}
	state := uint16(len(b.sets))
	b.states[string(key)] = state
	b.sets = append(b.sets, set)
	b.accept = append(b.accept, b.matches(b.closure(set, atEnd)))
	return state
}

// after returns the instructions that follow those of set that take c.
func (b *builder) after(set []uint32, c byte) (out []uint32) {
	for _, pc := range set {
		if inst := &b.prog.Inst[pc]; takes(inst, c) {
			out = append(out, inst.Out)
		}
	}
	return out
}

// closure returns, sorted, the instructions that can be reached from set without taking a byte where the anchors in
// at hold. Anchors that do not hold stay in the set: at the end of the name they may.
func (b *builder) closure(set []uint32, at syntax.EmptyOp) []uint32 {
	var reached []uint32
	stack := slices.Clone(set)
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if b.seen[pc] {
			continue
		}
		b.seen[pc] = true
		reached = append(reached, pc)
		switch inst := &b.prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			stack = append(stack, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			stack = append(stack, inst.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^at == 0 {
				stack = append(stack, inst.Out)
			}
		}
	}
	for _, pc := range reached {
		b.seen[pc] = false
	}
	slices.Sort(reached)
	return slices.DeleteFunc(reached, func(pc uint32) bool { return !b.lasting(pc) })
}

// lasting says whether an instruction can still matter: the others only lead on to some that are in the set too.
func (b *builder) lasting(pc uint32) bool {
	switch b.prog.Inst[pc].Op {
	case syntax.InstAlt, syntax.InstAltMatch, syntax.InstCapture, syntax.InstNop, syntax.InstFail:
		return false
	default:
		return true
	}
}

func (b *builder) matches(set []uint32) bool {
	return slices.ContainsFunc(set, func(pc uint32) bool { return b.prog.Inst[pc].Op == syntax.InstMatch })
}

// takes reports whether inst consumes the byte c.
func takes(inst *syntax.Inst, c byte) bool {
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return inst.MatchRune(rune(c))
	default:
		return false
	}
}
