package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPagesAreUpToDate(t *testing.T) {
	if err := run("../../config/crd/bases", "../../docs/kinds", true); err != nil {
		t.Error(err)
	}
}

func TestFill(t *testing.T) {
	least, most := 1.0, 255.0
	length := 3
	s := schema{Properties: map[string]schema{
		"spec": {
			Required: []string{"type"},
			Properties: map[string]schema{
				"count": {Type: "integer", Minimum: &least, Maximum: &most, Description: "count of\nthings <name>."},
				"list": {Type: "array", MaxItems: &length, Items: &schema{Type: "object", Properties: map[string]schema{
					"key": {Type: "string", MaxLength: &length},
				}}},
				"type": {Type: "string", Enum: []any{"a", "b"}},
			},
		},
		"status": {},
	}}
	page := "by hand\n<!-- fields -->\nold\n<!-- /fields -->\n<!-- status -->\n<!-- /status -->\n<!-- rules -->\n<!-- /rules -->\nby hand too\n"
	got, err := fill([]byte(page), s)
	if err != nil {
		t.Fatal(err)
	}
	header := "| Field | Type | Meaning |\n|---|---|---|\n"
	want := "by hand\n<!-- fields -->\n" + header +
		"| `type` | `a` \\| `b`, **required** |  |\n" +
		"| `count` | integer, 1 to 255 | count of things &lt;name&gt;. |\n" +
		"| `list` | list of objects, at most 3 entries |  |\n" +
		"| `list[].key` | string, at most 3 characters |  |\n" +
		"<!-- /fields -->\n<!-- status -->\n" + header + "<!-- /status -->\n<!-- rules -->\nNone but those in the table.\n<!-- /rules -->\nby hand too\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := fill(got, s)
	if err != nil || string(again) != string(got) {
		t.Errorf("a second run changes the page: %v\n%s", err, cmp.Diff(string(got), string(again)))
	}
	if _, err := fill([]byte(strings.Replace(page, "<!-- /rules -->", "", 1)), s); err == nil {
		t.Error("a page without its markers must be refused: it would never be updated")
	}
}
