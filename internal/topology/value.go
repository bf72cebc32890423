package topology

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Arguments is an AMQP table in canonical form: values are bool, int64,
// float64, string, nil, []any and map[string]any, and a number without a
// fraction or exponent is an int64. RabbitMQ compares `1000` and `1000.0` as
// different types, so Warrener does too.
type Arguments map[string]any

// ParseArguments reads a JSON object without rounding integers. A number that
// fits neither int64 nor float64 is an error that names its key.
func ParseArguments(raw []byte) (Arguments, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	var table map[string]any
	if err := decodeValue(raw, &table); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	for key, value := range table {
		v, err := canonical(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		table[key] = v
	}
	return table, nil
}

// ParseValue reads one JSON value into canonical form.
func ParseValue(raw []byte) (any, error) {
	var v any
	if err := decodeValue(raw, &v); err != nil {
		return nil, fmt.Errorf("not a JSON value: %w", err)
	}
	return canonical(v)
}

// decodeValue decodes all of raw, numbers as they are written.
func decodeValue(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows it")
	}
	return nil
}

func canonical(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			i, err := strconv.ParseInt(v.String(), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("integer %s does not fit 64 bits", v)
			}
			return i, nil
		}
		f, err := v.Float64()
		if err != nil || math.IsInf(f, 0) {
			return nil, fmt.Errorf("number %s is out of range", v)
		}
		return f, nil
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			c, err := canonical(item)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			out[i] = c
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			c, err := canonical(item)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			out[key] = c
		}
		return out, nil
	default: // bool, string, nil
		return v, nil
	}
}

// MarshalJSON writes keys in sorted order, floats so that they stay floats, and
// nil as {}: RabbitMQ answers 400 to null.
func (a Arguments) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	writeValue(&b, map[string]any(a))
	return b.Bytes(), nil
}

// UnmarshalJSON reads into canonical form. RabbitMQ writes an empty table as []
// in a few places; that is accepted.
func (a *Arguments) UnmarshalJSON(raw []byte) error {
	if trimmed := bytes.TrimSpace(raw); bytes.Equal(trimmed, []byte("[]")) || bytes.Equal(trimmed, []byte("null")) {
		*a = nil
		return nil
	}
	parsed, err := ParseArguments(raw)
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// Canonical renders the table as JSON with sorted keys: equal tables, equal
// text.
func (a Arguments) Canonical() string {
	var b bytes.Buffer
	writeValue(&b, map[string]any(a))
	return b.String()
}

// Equal compares two tables; nil and empty are equal.
func (a Arguments) Equal(b Arguments) bool {
	return a.Canonical() == b.Canonical()
}

// RenderValue renders one canonical value for people and for comparison:
// strings in quotes, so that "1000" and 1000 differ.
func RenderValue(v any) string {
	var b bytes.Buffer
	writeValue(&b, v)
	return b.String()
}

func writeValue(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0" // stays a float on the way through JSON
		}
		b.WriteString(text)
	case string:
		encoder := json.NewEncoder(b)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(v)   // a string cannot fail
		b.Truncate(b.Len() - 1) // Encode ends with a line break
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeValue(b, item)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteByte(',')
			}
			writeValue(b, key)
			b.WriteByte(':')
			writeValue(b, v[key])
		}
		b.WriteByte('}')
	default:
		// Every other type is a programming error: canonical() makes none.
		panic(fmt.Sprintf("topology: %T is not a canonical argument value", v))
	}
}

// diffArguments compares the arguments of two objects.
func diffArguments(want, live Arguments, mode Mode) []Change {
	return diffTable("arguments.", want, live, mode)
}

// diffTable compares two tables key by key.
func diffTable(prefix string, want, live Arguments, mode Mode) []Change {
	var changes []Change
	for key, wanted := range want {
		found, ok := live[key]
		switch {
		case !ok:
			changes = append(changes, Change{Path: prefix + key, From: Unset, To: RenderValue(wanted), Mode: mode})
		case RenderValue(found) != RenderValue(wanted):
			changes = append(changes, Change{Path: prefix + key, From: RenderValue(found), To: RenderValue(wanted), Mode: mode})
		}
	}
	for key, found := range live {
		if _, ok := want[key]; !ok {
			changes = append(changes, Change{Path: prefix + key, From: RenderValue(found), To: Unset, Mode: mode})
		}
	}
	return changes
}

func diffString(path, live, want string, mode Mode) []Change {
	if live == want {
		return nil
	}
	return []Change{{Path: path, From: renderString(live), To: renderString(want), Mode: mode}}
}

func renderString(s string) string {
	if s == "" {
		return Unset
	}
	return s
}

func diffBool(path string, live, want bool, mode Mode) []Change {
	if live == want {
		return nil
	}
	return []Change{{Path: path, From: strconv.FormatBool(live), To: strconv.FormatBool(want), Mode: mode}}
}
