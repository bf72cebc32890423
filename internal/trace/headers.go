package trace

import (
	"math"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

const argMatch = "x-match"

// matchHeaders tells whether the arguments of a binding of a headers exchange take
// a message. Plain all and any pass over arguments that begin with x-, so that all
// with nothing else takes every message, and any none.
func matchHeaders(v version, arguments, headers topology.Arguments) bool {
	match, _ := arguments[argMatch].(string)
	anyOf := match == "any" || match == "any-with-x"
	withX := match == "all-with-x" || match == "any-with-x"
	for name, wanted := range arguments {
		if name == argMatch || !withX && strings.HasPrefix(name, "x-") {
			continue
		}
		found, has := headers[name]
		fits := has && (wanted == nil || sameHeader(v, wanted, found)) // null asks whether the header is there
		if fits == anyOf {
			return anyOf
		}
	}
	return !anyOf
}

// sameHeader compares the value of a binding with that of a message. 1 and 1.0 are
// the same before 4.0, and not from then on; "1" is another value anyway.
func sameHeader(v version, wanted, found any) bool {
	if !v.atLeast(4, 0) {
		if same, numbers := sameNumber(wanted, found); numbers {
			return same
		}
	}
	return topology.RenderValue(wanted) == topology.RenderValue(found)
}

// sameNumber compares an integer with a float, exactly.
func sameNumber(a, b any) (same, comparable bool) {
	integer, isInteger := a.(int64)
	float, isFloat := b.(float64)
	if !isInteger || !isFloat {
		integer, isInteger = b.(int64)
		float, isFloat = a.(float64)
	}
	if !isInteger || !isFloat {
		return false, false
	}
	const limit = 1 << 63
	inRange := float >= -limit && float < limit && float == math.Trunc(float)
	return inRange && int64(float) == integer, true
}
