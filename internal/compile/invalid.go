package compile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a custom resource.
type Problem struct {
	// Field is the path of the field, such as `spec.arguments[x-max-age]`.
	Field string
	// Message says what is wrong and what to write instead.
	Message string
	// Code tells apart what has a name of its own; "" for the rest.
	Code Code
}

// Code names a kind of problem.
type Code string

// The kinds of problems that have a name.
const (
	// CodeQueueType: the type of the queue has no such setting.
	CodeQueueType Code = "QueueType"
	// CodeAtMostOnce: dead letters are to be at-least-once, and the broker would
	// silently be at-most-once.
	CodeAtMostOnce Code = "AtMostOnce"
)

// String renders `spec.partitions: 0 partitions cannot hold a message: ...`.
func (p Problem) String() string { return p.Field + ": " + p.Message }

// InvalidSpec is everything that is wrong with a custom resource; at least one
// problem. It is the type of Claim.Invalid.
type InvalidSpec struct {
	Problems []Problem
}

// Error joins the first problems into one line, and says how many more there
// are.
func (e *InvalidSpec) Error() string {
	const most = 5
	parts := make([]string, 0, most+1)
	for i, p := range e.Problems {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.Problems)-most))
			break
		}
		parts = append(parts, p.String())
	}
	return strings.Join(parts, "; ")
}

// quote renders a value that somebody wrote, short enough for a message.
func quote(s string) string { return strconv.Quote(shorten(s)) }

// shorten cuts at a character's edge.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// at is the path of an entry of a map.
func at(path, key string) string {
	for _, r := range key {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
		if !plain {
			return path + "[" + quote(key) + "]"
		}
	}
	return path + "[" + shorten(key) + "]"
}

// index is the path of an entry of a list.
func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
