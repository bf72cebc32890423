/*
Copyright The Warrener Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package v1alpha1

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestArgumentsRoundTrip(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		want   string
	}{
		"integer":        {"brokers tell 60000 from 60000.0 and from \"60000\"", `60000`, `60000`},
		"negative":       {"a sign is part of an integer", `-1`, `-1`},
		"beyond float64": {"2^53+1 is the first integer that a float64 rounds", `9007199254740993`, `9007199254740993`},
		"largest":        {"the largest integer that AMQP carries", `9223372036854775807`, `9223372036854775807`},
		"float":          {"a fraction makes a float", `1.5`, `1.5`},
		"integral float": {"the spelling makes it a float, not the value", `60000.0`, `60000.0`},
		"exponent":       {"an exponent makes a float", `6e4`, `6e4`},
		"boolean":        {"booleans stay booleans", `true`, `true`},
		"numeric string": {"strings stay strings", `"60000"`, `"60000"`},
		"null":           {"null is kept for the compiler to refuse", `null`, `null`},
		"empty string":   {"an empty string is not null", `""`, `""`},
		"non-ASCII":      {"text is UTF-8", `"é"`, `"é"`},
		"array":          {"white space is not significant", `[1, "a", [2.5]]`, `[1,"a",[2.5]]`},
		"table":          {"tables nest", `{"a": {"b": [9007199254740993]}}`, `{"a":{"b":[9007199254740993]}}`},
		"empty table":    {"an empty table is not null", `{}`, `{}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var arguments Arguments
			if err := json.Unmarshal([]byte(`{"k": `+tc.in+`}`), &arguments); err != nil {
				t.Fatalf("%s: unmarshal: %v", tc.reason, err)
			}
			if got := arguments["k"].String(); got != tc.want {
				t.Errorf("%s: String() = %s, want %s", tc.reason, got, tc.want)
			}
			out, err := json.Marshal(arguments)
			if err != nil {
				t.Fatalf("%s: marshal: %v", tc.reason, err)
			}
			var again Arguments
			if err := json.Unmarshal(out, &again); err != nil {
				t.Fatalf("%s: unmarshal again: %v", tc.reason, err)
			}
			if diff := cmp.Diff(texts(arguments), texts(again)); diff != "" {
				t.Errorf("%s: after a round trip (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func texts(arguments Arguments) map[string]string {
	texts := map[string]string{}
	for name, value := range arguments {
		texts[name] = value.String()
	}
	return texts
}

func TestArgumentsFromYAML(t *testing.T) {
	var queue Queue
	manifest := "spec:\n  arguments:\n    i: 9007199254740993\n    s: '1'\n    b: true\n    l: [1, x]\n"
	if err := yaml.Unmarshal([]byte(manifest), &queue); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"i": "9007199254740993", "s": `"1"`, "b": "true", "l": `[1,"x"]`}
	if diff := cmp.Diff(want, texts(queue.Spec.Arguments)); diff != "" {
		t.Errorf("arguments of a YAML manifest (-want +got):\n%s", diff)
	}
}

func TestZeroValueIsNull(t *testing.T) {
	out, err := json.Marshal(Arguments{"k": {}})
	if err != nil || string(out) != `{"k":null}` {
		t.Errorf("Marshal = %s, %v, want null", out, err)
	}
}

func TestNewValue(t *testing.T) {
	if got := MustValue(map[string]any{"b": 1, "a": "x"}).String(); got != `{"a":"x","b":1}` {
		t.Errorf("MustValue = %s, want sorted keys", got)
	}
	if _, err := NewValue(make(chan int)); err == nil {
		t.Error("NewValue of a channel: want an error")
	}
}

func TestDeepCopyOwnsItsValues(t *testing.T) {
	original := &Queue{Spec: QueueSpec{Arguments: Arguments{"k": MustValue(1)}, Bindings: []BindingSource{{Headers: &HeaderBinding{Values: Arguments{"h": MustValue("a")}}}}}}
	clone := original.DeepCopy()
	clone.Spec.Arguments["k"].Raw[0] = '2'
	clone.Spec.Bindings[0].Headers.Values["h"] = MustValue("b")
	if got := original.Spec.Arguments["k"].String(); got != "1" {
		t.Errorf("writing to the copy changed the original argument to %s", got)
	}
	if got := original.Spec.Bindings[0].Headers.Values["h"].String(); got != `"a"` {
		t.Errorf("writing to the copy changed the original header to %s", got)
	}
}

func FuzzValue(f *testing.F) {
	for _, seed := range []string{`1`, `9007199254740993`, `-0`, `1e5`, `{"a":[1.0,null,"x"]}`, `"\u00e9"`, ` [ ] `} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var first Value
		if json.Unmarshal([]byte(text), &first) != nil {
			return
		}
		out, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("%q is read but not written: %v", text, err)
		}
		var second Value
		if err := json.Unmarshal(out, &second); err != nil {
			t.Fatalf("%q is written as %q, which is not read: %v", text, out, err)
		}
		third, err := json.Marshal(second)
		if err != nil || !bytes.Equal(out, third) {
			t.Errorf("%q is written as %q and then as %q (%v)", text, out, third, err)
		}
	})
}
