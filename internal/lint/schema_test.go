package lint

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// schema is a JSON Schema with the keywords that SARIF's has. It is held in the
// form in which it is read.
type schema struct {
	t    *testing.T
	root map[string]any
}

// aboutNothing are keywords that refuse no value.
var aboutNothing = []string{"$schema", "id", "title", "description", "default", "definitions"}

// check lists what is wrong with a value. A keyword that it does not know fails
// the test: what is not understood must not pass.
func (s schema) check(node map[string]any, value any, path string) []string {
	var out []string
	wrong := func(format string, args ...any) { out = append(out, path+": "+fmt.Sprintf(format, args...)) }
	for keyword, rule := range node {
		switch keyword {
		case "$ref":
			name := strings.TrimPrefix(rule.(string), "#/definitions/")
			out = append(out, s.check(s.root["definitions"].(map[string]any)[name].(map[string]any), value, path)...)
		case "type":
			if !isType(value, rule) {
				wrong("is no %v", rule)
			}
		case "enum":
			if !slices.ContainsFunc(rule.([]any), func(one any) bool { return reflect.DeepEqual(one, value) }) {
				wrong("%v is none of %v", value, rule)
			}
		case "anyOf", "oneOf":
			fits := 0
			for _, one := range rule.([]any) {
				if len(s.check(one.(map[string]any), value, path)) == 0 {
					fits++
				}
			}
			if fits == 0 || keyword == "oneOf" && fits > 1 {
				wrong("%s of its schemas fit %d times", keyword, fits)
			}
		case "additionalProperties", "properties", "required":
			if object, is := value.(map[string]any); is {
				out = append(out, s.checkObject(keyword, node, object, path)...)
			}
		case "items", "minItems", "uniqueItems":
			if list, is := value.([]any); is {
				out = append(out, s.checkList(keyword, rule, list, path)...)
			}
		case "minimum", "maximum":
			if number, is := value.(float64); is && (keyword == "minimum" && number < rule.(float64) || keyword == "maximum" && number > rule.(float64)) {
				wrong("%v is beyond the %s %v", value, keyword, rule)
			}
		case "pattern":
			if text, is := value.(string); is && !regexp.MustCompile(rule.(string)).MatchString(text) {
				wrong("%q does not match %v", text, rule)
			}
		case "format":
			if text, is := value.(string); is && !hasFormat(s.t, text, rule.(string)) {
				wrong("%q is no %v", text, rule)
			}
		default:
			if !slices.Contains(aboutNothing, keyword) {
				s.t.Fatalf("the schema says %s, which this test does not know", keyword)
			}
		}
	}
	return out
}

func (s schema) checkObject(keyword string, node, object map[string]any, path string) []string {
	var out []string
	known, _ := node["properties"].(map[string]any)
	for name, value := range object {
		property, is := known[name].(map[string]any)
		switch extra := node["additionalProperties"].(type) {
		case bool:
			if keyword == "additionalProperties" && !is && !extra {
				out = append(out, path+": there is no property "+name)
			}
		case map[string]any:
			if keyword == "additionalProperties" && !is {
				out = append(out, s.check(extra, value, path+"."+name)...)
			}
		}
		if keyword == "properties" && is {
			out = append(out, s.check(property, value, path+"."+name)...)
		}
	}
	if keyword == "required" {
		for _, name := range node["required"].([]any) {
			if _, there := object[name.(string)]; !there {
				out = append(out, fmt.Sprintf("%s: %v is missing", path, name))
			}
		}
	}
	return out
}

func (s schema) checkList(keyword string, rule any, list []any, path string) []string {
	var out []string
	for i, value := range list {
		switch keyword {
		case "items":
			out = append(out, s.check(rule.(map[string]any), value, fmt.Sprintf("%s[%d]", path, i))...)
		case "uniqueItems":
			if rule.(bool) && slices.ContainsFunc(list[:i], func(other any) bool { return reflect.DeepEqual(other, value) }) {
				out = append(out, fmt.Sprintf("%s[%d]: it stands there twice", path, i))
			}
		}
	}
	if keyword == "minItems" && float64(len(list)) < rule.(float64) {
		out = append(out, path+": there are too few")
	}
	return out
}

func isType(value, rule any) bool {
	if several, is := rule.([]any); is {
		return slices.ContainsFunc(several, func(one any) bool { return isType(value, one) })
	}
	switch v := value.(type) {
	case string:
		return rule == "string"
	case bool:
		return rule == "boolean"
	case float64:
		return rule == "number" || rule == "integer" && v == math.Trunc(v)
	case []any:
		return rule == "array"
	case map[string]any:
		return rule == "object"
	}
	return rule == "null"
}

func hasFormat(t *testing.T, text, format string) bool {
	t.Helper()
	parsed, err := url.Parse(text)
	switch format {
	case "uri":
		return err == nil && parsed.IsAbs()
	case "uri-reference":
		return err == nil && parsed.String() == text
	}
	t.Fatalf("the schema wants a %s, which this test does not know", format)
	return false
}

func decoded(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
