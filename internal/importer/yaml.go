package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// widest is how long a table or list may be that stands on one line.
const widest = 72

// node is JSON with its keys in the order that they came in.
type node struct {
	scalar string // JSON text; "" if keys or items
	keys   []string
	items  []node
	isList bool
}

// renderYAML writes an API object in the order of its fields, without those that
// are not set: a machine sorts by letter, a person looks for the kind first.
func renderYAML(object any) (string, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	root, err := readNode(decoder)
	if err != nil {
		return "", err
	}
	root.remove("status")
	if root.at("apiVersion") != nil && root.keys[0] == "kind" {
		root.keys[0], root.keys[1] = root.keys[1], root.keys[0]
		root.items[0], root.items[1] = root.items[1], root.items[0]
	}
	root.shortenSpans()
	var b strings.Builder
	root.write(&b, 0)
	return b.String(), nil
}

func readNode(decoder *json.Decoder) (node, error) {
	token, err := decoder.Token()
	if err != nil {
		return node{}, err
	}
	delim, structured := token.(json.Delim)
	if !structured {
		return node{scalar: scalarOf(token)}, nil
	}
	n := node{isList: delim == '['}
	for decoder.More() {
		if !n.isList {
			key, err := decoder.Token()
			if err != nil {
				return n, err
			}
			n.keys = append(n.keys, key.(string))
		}
		item, err := readNode(decoder)
		if err != nil {
			return n, err
		}
		n.items = append(n.items, item)
	}
	_, err = decoder.Token()
	return n, err
}

func scalarOf(token any) string {
	switch v := token.(type) {
	case string:
		return quoted(v)
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return "null"
}

var (
	plainText = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./@+#*-]*$`)
	plainAddr = regexp.MustCompile(`^(https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._-]+)*/?|[A-Za-z0-9.-]+:[0-9]+)$`)
	plainSpan = regexp.MustCompile(`^([0-9]+([.][0-9]+)?(h|m|s|ms))+$|^[0-9]+[YMD]$`)
)

// quoted is a text in YAML, bare if nothing can take it for something else.
func quoted(text string) string {
	if plainText.MatchString(text) || plainSpan.MatchString(text) || plainAddr.MatchString(text) {
		if bare, err := yaml.Marshal(text); err == nil && string(bare) == text+"\n" {
			return text
		}
	}
	return strconv.Quote(text) // every escape of Go is one of YAML's
}

// spans are the fields that hold a time span.
var spans = [][]string{
	{"spec", "messageTTL"}, {"spec", "expires"}, {"spec", "deadLetter", "messageTTL"},
	{"spec", "retry", "backoff", "initial"}, {"spec", "retry", "backoff", "max"}, {"spec", "retry", "delays"},
}

// shortenSpans writes 24h for 24h0m0s, and 1m for 1m0s.
func (n *node) shortenSpans() {
	for _, path := range spans {
		at := n
		for _, key := range path {
			if at = at.at(key); at == nil {
				break
			}
		}
		switch {
		case at == nil:
		case at.isList:
			for i := range at.items {
				at.items[i].scalar = shortSpan(at.items[i].scalar)
			}
		default:
			at.scalar = shortSpan(at.scalar)
		}
	}
}

func shortSpan(text string) string {
	if short, whole := strings.CutSuffix(text, "m0s"); whole {
		if hours, whole := strings.CutSuffix(short, "h0"); whole {
			return hours + "h"
		}
		return short + "m"
	}
	return text
}

func (n *node) at(key string) *node {
	for i, k := range n.keys {
		if k == key {
			return &n.items[i]
		}
	}
	return nil
}

func (n *node) remove(key string) {
	for i, k := range n.keys {
		if k == key {
			n.keys = append(n.keys[:i], n.keys[i+1:]...)
			n.items = append(n.items[:i], n.items[i+1:]...)
			return
		}
	}
}

// flow is the node on one line.
func (n *node) flow() string {
	if n.scalar != "" {
		return n.scalar
	}
	parts := make([]string, len(n.items))
	for i := range n.items {
		parts[i] = n.items[i].flow()
		if !n.isList {
			parts[i] = quoted(n.keys[i]) + ": " + parts[i]
		}
	}
	if n.isList {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// fits tells whether the node is best read on one line: it is short, and no table
// holds another one.
func (n *node) fits() bool {
	for i := range n.items {
		if item := &n.items[i]; len(item.items) > 0 && (!n.isList && !item.isList || !item.fits()) {
			return false
		}
	}
	return utf8.RuneCountInString(n.flow()) <= widest
}

// ofTables tells whether the node is a list of tables, which stand below each
// other.
func (n *node) ofTables() bool {
	return n.isList && !slices.ContainsFunc(n.items, func(item node) bool { return len(item.keys) == 0 })
}

// write writes the node as a block.
func (n *node) write(b *strings.Builder, indent int) {
	margin := strings.Repeat(" ", indent)
	for i := range n.items {
		item := &n.items[i]
		if n.isList {
			if len(item.keys) == 0 {
				fmt.Fprintf(b, "%s- %s\n", margin, item.flow())
				continue
			}
			var inner strings.Builder
			item.write(&inner, indent+2)
			b.WriteString(margin + "- " + strings.TrimPrefix(inner.String(), margin+"  "))
			continue
		}
		key := quoted(n.keys[i])
		switch {
		case len(item.items) == 0, item.fits() && n.keys[i] != "spec" && !item.ofTables():
			fmt.Fprintf(b, "%s%s: %s\n", margin, key, item.flow())
		case item.isList:
			fmt.Fprintf(b, "%s%s:\n", margin, key)
			item.write(b, indent)
		default:
			fmt.Fprintf(b, "%s%s:\n", margin, key)
			item.write(b, indent+2)
		}
	}
}
