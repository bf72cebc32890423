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
	"fmt"
)

// Arguments is a table of broker arguments or header values: names to JSON values of any type.
// Brokers tell an integer from a float and from a string, so values keep the spelling they came in. An
// API server is less careful: it stores 60000.0 and 6e4 as 60000, rounds integers beyond 64 bits to
// floats, and drops nulls.
type Arguments map[string]Value

// Value is one JSON value of any type, kept as text: an integer stays an integer, also beyond 2^53,
// where a float64 would round it.
//
// +kubebuilder:validation:Type=""
// +kubebuilder:pruning:PreserveUnknownFields
type Value struct {
	// Raw is the compact JSON text. Empty means null.
	Raw []byte `json:"-"`
}

// NewValue encodes a Go value. Maps are encoded with sorted keys.
func NewValue(v any) (Value, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return Value{}, fmt.Errorf("encode value: %w", err)
	}
	return Value{Raw: raw}, nil
}

// MustValue is NewValue for values that are known to encode, such as literals; it panics on any other.
func MustValue(v any) Value {
	value, err := NewValue(v)
	if err != nil {
		panic(err)
	}
	return value
}

// MarshalJSON writes the text as it came.
func (v Value) MarshalJSON() ([]byte, error) {
	if len(v.Raw) == 0 {
		return []byte("null"), nil
	}
	return v.Raw, nil
}

// UnmarshalJSON keeps the text without insignificant white space.
func (v *Value) UnmarshalJSON(data []byte) error {
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return err
	}
	v.Raw = compact.Bytes()
	return nil
}

// String returns the JSON text.
func (v Value) String() string {
	if len(v.Raw) == 0 {
		return "null"
	}
	return string(v.Raw)
}
