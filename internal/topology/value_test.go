package topology_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestParseArguments(t *testing.T) {
	cases := map[string]struct {
		reason, in string
		want       topology.Arguments
		err        string
	}{
		"Nothing":      {reason: "no text is no table"},
		"LargeInteger": {reason: "an integer is not rounded", in: `{"a": 9223372036854775807}`, want: topology.Arguments{"a": int64(math.MaxInt64)}},
		"SmallInteger": {reason: "nor is a negative one", in: `{"a": -9223372036854775808}`, want: topology.Arguments{"a": int64(math.MinInt64)}},
		"NotRounded":   {reason: "2^53+1 is where a float64 gives up", in: `{"a": 9007199254740993}`, want: topology.Arguments{"a": int64(9007199254740993)}},
		"Float":        {reason: "what has a fraction or an exponent is a float, even if it is whole", in: `{"a": 1000.0, "b": 1e3, "c": 0.5}`, want: topology.Arguments{"a": 1000.0, "b": 1000.0, "c": 0.5}},
		"Nested":       {reason: "inside of lists and tables too", in: `{"a": [1, 1.0, {"b": [], "c": null, "d": true}]}`, want: topology.Arguments{"a": []any{int64(1), 1.0, map[string]any{"b": []any{}, "c": nil, "d": true}}}},
		"String":       {reason: "a number in quotes is a string", in: `{"a": "1000"}`, want: topology.Arguments{"a": "1000"}},
		"TooLarge":     {reason: "what fits no integer is an error that names its key", in: `{"a": {"b": [9223372036854775808]}}`, err: "a: b: [0]: integer 9223372036854775808 does not fit 64 bits"},
		"OutOfRange":   {reason: "as is what fits no float", in: `{"a": 1e999}`, err: "a: number 1e999 is out of range"},
		"List":         {reason: "a list is no table", in: `[]`, err: "not a JSON object"},
		"Trailing":     {reason: "nothing may follow", in: `{} {}`, err: "not a JSON object"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := topology.ParseArguments([]byte(c.in))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%s: got error %v, want %q", c.reason, err, c.err)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", c.reason, err, diff)
			}
		})
	}
}

func TestParseValue(t *testing.T) {
	for in, want := range map[string]any{"1": int64(1), " 1.5 ": 1.5, `"x"`: "x", "null": nil, "-0": int64(0)} {
		if got, err := topology.ParseValue([]byte(in)); err != nil || got != want {
			t.Errorf("%q reads as %#v, %v; want %#v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "1 2", "{} x", "1]", "nul"} {
		if got, err := topology.ParseValue([]byte(in)); err == nil {
			t.Errorf("%q reads as %#v; want an error", in, got)
		}
	}
}

func TestArgumentsAsJSON(t *testing.T) {
	cases := map[string]struct {
		reason, in, canonical string
	}{
		"EmptyList": {reason: "RabbitMQ writes an empty table as a list", in: `[]`, canonical: `{}`},
		"Null":      {reason: "nil is written as an empty table: the broker refuses null", in: `null`, canonical: `{}`},
		"Sorted":    {reason: "equal tables are equal text", in: `{"b": {"d": 1, "c": 2}, "a": [1, 2.0]}`, canonical: `{"a":[1,2.0],"b":{"c":2,"d":1}}`},
		"Floats":    {reason: "a float stays one on the way through JSON", in: `{"a": 1e21, "b": 3.0, "c": -0.0, "d": 1e-7}`, canonical: `{"a":1e+21,"b":3.0,"c":-0.0,"d":1e-07}`},
		"Strings":   {reason: "strings are not escaped for HTML", in: `{"a": "<&>\u2028\n"}`, canonical: "{\"a\":\"<&>\\u2028\\n\"}"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var a topology.Arguments
			if err := json.Unmarshal([]byte(c.in), &a); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.canonical, a.Canonical()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			raw, err := a.MarshalJSON()
			if diff := cmp.Diff(c.canonical, string(raw)); err != nil || diff != "" {
				t.Errorf("MarshalJSON: %v (-want +got):\n%s", err, diff)
			}
		})
	}
	if (topology.Arguments{"a": int64(1)}).Equal(topology.Arguments{"a": 1.0}) {
		t.Error("1 and 1.0 are equal; the broker tells them apart")
	}
	if !(topology.Arguments{}).Equal(nil) {
		t.Error("an empty table and none differ")
	}
}

// Whatever is read is written so that it reads the same.
func FuzzParseArguments(f *testing.F) {
	for _, seed := range []string{`{}`, `{"x-max-length": 9223372036854775807}`, `{"a": 1.0, "b": 1e300}`, `{"a": [[], {}, null, "\ud800"]}`, `{"a": -0.0, "a": 1}`, `[1]`, `{"a": 1e-400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := topology.ParseArguments(raw)
		if err != nil {
			return
		}
		text := a.Canonical()
		again, err := topology.ParseArguments([]byte(text))
		if err != nil {
			t.Fatalf("%q is written as %q, which does not read: %v", raw, text, err)
		}
		if !a.Equal(again) || again.Canonical() != text {
			t.Fatalf("%q is written as %q, and then as %q", raw, text, again.Canonical())
		}
		if diff := cmp.Diff(map[string]any(a), map[string]any(again)); diff != "" && len(a) > 0 {
			t.Fatalf("%q changes on the way (-before +after):\n%s", raw, diff)
		}
	})
}
