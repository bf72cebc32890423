package trace

import (
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestMatchWords(t *testing.T) {
	cases := []struct {
		pattern, key string
		want         bool
	}{
		{"", "", true}, {"", "a", false}, {"", ".", false}, {"a", "", false},
		{"#", "", true}, {"#", "a.b.c", true}, {"#.#", "", true}, {"#.#", "a", true},
		{"*", "", false}, {"*", "a", true}, {"*", "a.", false}, {"*.*", ".", true}, {"*.*", "a.", true}, {"*.*", "a", false},
		{"a.", "a.", true}, {"a.", "a", false}, {".a", ".a", true}, {"a.*", "a.", true}, {"a..b", "a..b", true}, {"a.*.b", "a..b", true},
		{"a.#", "a", true}, {"a.#", "a.", true}, {"#.b", "b", true}, {"#.b", "a.a.b", true}, {"#.b", "b.a", false},
		{"#.*", "", false}, {"#.*", "a", true}, {"*.#", "a", true}, {"a.#.b.#", "a.x.b.y.z", true}, {"a.#.b.#", "a.x.y", false},
		{"#.a.#", "x.a.y", true}, {"#.a.#", "x.y", false}, {"*.a", "a", false}, {"ab", "a", false}, {"a*", "ab", false}, {"a*", "a*", true},
	}
	for _, c := range cases {
		if got := matchWords(words(c.pattern), words(c.key)); got != c.want {
			t.Errorf("pattern %q takes key %q: got %v, want %v", c.pattern, c.key, got, c.want)
		}
	}
}

func TestMatchHeaders(t *testing.T) {
	type table = topology.Arguments
	cases := map[string]struct {
		arguments, headers table
		// before and since 4.0
		before, since bool
	}{
		"all, all there":            {table{"x-match": "all", "a": "1", "b": true}, table{"a": "1", "b": true, "c": nil}, true, true},
		"all, one missing":          {table{"x-match": "all", "a": "1", "b": true}, table{"a": "1"}, false, false},
		"all, one differs":          {table{"x-match": "all", "a": "1", "b": true}, table{"a": "1", "b": false}, false, false},
		"no x-match is all":         {table{"a": "1", "b": "2"}, table{"a": "1"}, false, false},
		"any, one there":            {table{"x-match": "any", "a": "1", "b": "2"}, table{"b": "2"}, true, true},
		"any, none there":           {table{"x-match": "any", "a": "1"}, table{"b": "1"}, false, false},
		"nothing to match, all":     {table{}, table{}, true, true},
		"nothing to match, any":     {table{"x-match": "any"}, table{"a": "1"}, false, false},
		"x- is passed over by all":  {table{"x-match": "all", "x-a": "1"}, table{}, true, true},
		"x- is passed over by any":  {table{"x-match": "any", "x-a": "1"}, table{"x-a": "1"}, false, false},
		"x- counts for all-with-x":  {table{"x-match": "all-with-x", "x-a": "1"}, table{}, false, false},
		"all-with-x, there":         {table{"x-match": "all-with-x", "x-a": "1", "b": "2"}, table{"x-a": "1", "b": "2"}, true, true},
		"x- counts for any-with-x":  {table{"x-match": "any-with-x", "x-a": "1", "b": "2"}, table{"x-a": "1"}, true, true},
		"null asks for presence":    {table{"x-match": "all", "a": nil}, table{"a": "whatever"}, true, true},
		"null and absent":           {table{"x-match": "all", "a": nil}, table{}, false, false},
		"null in the message":       {table{"x-match": "all", "a": "1"}, table{"a": nil}, false, false},
		"null and null":             {table{"x-match": "all", "a": nil}, table{"a": nil}, true, true},
		"integer and text":          {table{"a": int64(1)}, table{"a": "1"}, false, false},
		"integer and float":         {table{"a": int64(1)}, table{"a": 1.0}, true, false},
		"float and integer":         {table{"a": 2.0}, table{"a": int64(2)}, true, false},
		"integer and another float": {table{"a": int64(1)}, table{"a": 1.5}, false, false},
		"too large for a float":     {table{"a": int64(1<<53 + 1)}, table{"a": float64(1 << 53)}, false, false},
		"bool and text":             {table{"a": true}, table{"a": "true"}, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := matchHeaders(parseVersion("3.10.8"), c.arguments, c.headers); got != c.before {
				t.Errorf("3.10: got %v, want %v", got, c.before)
			}
			if got := matchHeaders(parseVersion("4.0.5"), c.arguments, c.headers); got != c.since {
				t.Errorf("4.0: got %v, want %v", got, c.since)
			}
		})
	}
}
