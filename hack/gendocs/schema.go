package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// definition is the part of a CustomResourceDefinition that people read about.
type definition struct {
	Spec struct {
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Schema struct {
				OpenAPIV3Schema schema `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// schema is the part of a structural schema that people read about.
type schema struct {
	Type                 string            `json:"type"`
	IntOrString          bool              `json:"x-kubernetes-int-or-string"`
	Format               string            `json:"format"`
	Description          string            `json:"description"`
	Properties           map[string]schema `json:"properties"`
	Items                *schema           `json:"items"`
	AdditionalProperties *schema           `json:"additionalProperties"`
	Required             []string          `json:"required"`
	Enum                 []any             `json:"enum"`
	Minimum              *float64          `json:"minimum"`
	Maximum              *float64          `json:"maximum"`
	MaxLength            *int              `json:"maxLength"`
	MaxItems             *int              `json:"maxItems"`
	MaxProperties        *int              `json:"maxProperties"`
	Rules                []struct {
		Message string `json:"message"`
	} `json:"x-kubernetes-validations"`
}

// section renders one part of an object, such as spec: its fields as a table
// and, where there are any, the sentences of its rules.
func section(title string, s schema) string {
	var b strings.Builder
	b.WriteString("| Field | Type | Meaning |\n|---|---|---|\n")
	walk(s, title, func(path string, field schema, required bool) {
		kind := typeOf(field)
		if required {
			kind += ", **required**"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.TrimPrefix(path, title+"."), kind, cell(field.Description))
	})
	return b.String()
}

// walk visits the fields of a schema and those below them, required ones first,
// then by name: the order does not depend on that of the Go types.
func walk(s schema, path string, visit func(path string, field schema, required bool)) {
	names := slices.Collect(maps.Keys(s.Properties))
	slices.SortFunc(names, func(a, b string) int {
		if ra, rb := slices.Contains(s.Required, a), slices.Contains(s.Required, b); ra != rb {
			if ra {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		field := s.Properties[name]
		below := path + "." + name
		visit(below, field, slices.Contains(s.Required, name))
		if isForeign(field) {
			continue
		}
		if field.Items != nil {
			walk(*field.Items, below+"[]", visit)
		}
		walk(field, below, visit)
	}
}

// isForeign tells types of Kubernetes itself, which its own reference explains.
func isForeign(s schema) bool {
	_, isSelector := s.Properties["matchExpressions"]
	return isSelector
}

func typeOf(s schema) string {
	switch {
	case len(s.Enum) > 0:
		words := make([]string, len(s.Enum))
		for i, value := range s.Enum {
			words[i] = fmt.Sprintf("`%v`", value)
		}
		return strings.Join(words, " \\| ")
	case s.Items != nil:
		return "list of " + plural(*s.Items) + upTo(s.MaxItems, "entries")
	case s.AdditionalProperties != nil:
		return "map to " + plural(*s.AdditionalProperties) + upTo(s.MaxProperties, "keys")
	case s.IntOrString:
		return "integer or string"
	case s.Type == "":
		return "any JSON value"
	case s.Type == "integer":
		return "integer" + span(s.Minimum, s.Maximum)
	case s.Type == "string":
		return "string" + upTo(s.MaxLength, "characters")
	}
	return s.Type
}

func plural(s schema) string {
	switch s.Type {
	case "":
		return "JSON values"
	case "string":
		return "strings"
	case "integer":
		return "integers"
	}
	return s.Type + "s"
}

func upTo(most *int, of string) string {
	if most == nil {
		return ""
	}
	return fmt.Sprintf(", at most %d %s", *most, of)
}

func span(least, most *float64) string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch {
	case least != nil && most != nil:
		return ", " + number(*least) + " to " + number(*most)
	case least != nil:
		return ", at least " + number(*least)
	case most != nil:
		return ", at most " + number(*most)
	}
	return ""
}

// cell fits a description into a table.
func cell(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer("|", "\\|", "<", "&lt;", ">", "&gt;").Replace(text)
}

// rules lists the sentences with which the API server refuses something, by
// field, each once.
func rules(s schema) string {
	var lines []string
	add := func(path string, field schema) {
		for _, rule := range field.Rules {
			line := "* " + cell(rule.Message)
			if path != "" {
				line = "* `" + path + "`: " + cell(rule.Message)
			}
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	add("", s)
	spec := s.Properties["spec"]
	add("", spec)
	walk(spec, "spec", func(path string, field schema, _ bool) {
		path = strings.TrimPrefix(path, "spec.")
		add(path, field)
		if field.Items != nil {
			add(path+"[]", *field.Items)
		}
	})
	if len(lines) == 0 {
		return "None but those in the table.\n"
	}
	return strings.Join(lines, "\n") + "\n"
}
