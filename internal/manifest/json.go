package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What a document may hold once its aliases are followed: more than any API
// server would take.
const (
	maxNodes = 1_000_000
	maxDepth = 100
)

// converter writes YAML as the JSON that kubectl sends: numbers keep their kind,
// yes and on are true.
type converter struct {
	out   []byte
	nodes int
	depth int
	// twice are the keys that stand twice in one table; the last one counts.
	twice []*yaml.Node
}

func (c *converter) node(n *yaml.Node) error {
	c.nodes++
	c.depth++
	defer func() { c.depth-- }()
	if c.nodes > maxNodes || c.depth > maxDepth {
		return errors.New("it is nested too deeply, or an alias leads back to itself")
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return c.node(n.Content[0])
	case yaml.AliasNode:
		return c.node(n.Alias)
	case yaml.MappingNode:
		return c.mapping(n)
	case yaml.SequenceNode:
		return c.sequence(n)
	case yaml.ScalarNode:
		return c.scalar(n)
	}
	return fmt.Errorf("line %d holds nothing that can be read", n.Line)
}

func (c *converter) sequence(n *yaml.Node) error {
	c.out = append(c.out, '[')
	for i, entry := range n.Content {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		if err := c.node(entry); err != nil {
			return err
		}
	}
	c.out = append(c.out, ']')
	return nil
}

func (c *converter) mapping(n *yaml.Node) error {
	pairs, twice, err := entries(n, 0)
	if err != nil {
		return err
	}
	c.twice = append(c.twice, twice...)
	c.out = append(c.out, '{')
	for i, pair := range pairs {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.text(keyText(pair.key))
		c.out = append(c.out, ':')
		if err := c.node(pair.value); err != nil {
			return err
		}
	}
	c.out = append(c.out, '}')
	return nil
}

// pair is one entry of a table.
type pair struct{ key, value *yaml.Node }

// entries lists a table with what its merge keys (<<) bring along, and the keys
// that stand in it twice.
func entries(n *yaml.Node, depth int) (pairs []pair, twice []*yaml.Node, err error) {
	const deepest = 32
	if depth > deepest {
		return nil, nil, errors.New("merge keys are nested too deeply")
	}
	merges := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		if key.Kind != yaml.ScalarNode {
			return nil, nil, fmt.Errorf("line %d: a key is a text, and this is a table or a list", key.Line)
		}
		if key.ShortTag() == "!!merge" {
			merges = true
			continue
		}
		if found := indexOf(pairs, key.Value); found >= 0 {
			twice = append(twice, key)
			pairs[found] = pair{key, n.Content[i+1]}
			continue
		}
		pairs = append(pairs, pair{key, n.Content[i+1]})
	}
	if merges {
		pairs, err = merge(n, pairs, depth)
	}
	return pairs, twice, err
}

// merge adds what is not there yet: an entry of one's own beats a merged one.
func merge(n *yaml.Node, pairs []pair, depth int) ([]pair, error) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if resolve(n.Content[i]).ShortTag() != "!!merge" {
			continue
		}
		from := []*yaml.Node{resolve(n.Content[i+1])}
		if from[0].Kind == yaml.SequenceNode {
			from = from[0].Content
		}
		for _, source := range from {
			source = resolve(source)
			if source.Kind != yaml.MappingNode {
				return nil, fmt.Errorf("line %d: << merges tables, and this is none", source.Line)
			}
			more, _, err := entries(source, depth+1)
			if err != nil {
				return nil, err
			}
			for _, p := range more {
				if indexOf(pairs, p.key.Value) < 0 {
					pairs = append(pairs, p)
				}
			}
		}
	}
	return pairs, nil
}

func indexOf(pairs []pair, key string) int {
	for i := range pairs {
		if pairs[i].key.Value == key {
			return i
		}
	}
	return -1
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// keyText is a key as kubectl sends it.
func keyText(key *yaml.Node) string {
	if b, ok := oldBoolean(key); ok {
		return strconv.FormatBool(b)
	}
	return key.Value
}

// text writes a JSON string.
func (c *converter) text(s string) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' {
			quoted, _ := json.Marshal(s) // strings always encode
			c.out = append(c.out, quoted...)
			return
		}
	}
	c.out = append(c.out, '"')
	c.out = append(c.out, s...)
	c.out = append(c.out, '"')
}

func (c *converter) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		c.out = append(c.out, "null"...)
		return nil
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil && n.Value == strconv.FormatInt(i, 10) {
			c.out = append(c.out, n.Value...)
			return nil
		}
		return c.number(n)
	case "!!float":
		return c.number(n)
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return plainError(err)
		}
		c.out = strconv.AppendBool(c.out, b)
		return nil
	case "!!str":
		if b, ok := oldBoolean(n); ok {
			c.out = strconv.AppendBool(c.out, b)
			return nil
		}
		c.text(n.Value)
		return nil
	case "!!timestamp":
		c.text(n.Value)
		return nil
	}
	var s string
	if err := n.Decode(&s); err != nil {
		return plainError(err)
	}
	c.text(s)
	return nil
}

// number writes what is not a plain integer: 0x10, 1_000, 1.5.
func (c *converter) number(n *yaml.Node) error {
	var value any
	if err := n.Decode(&value); err != nil {
		return plainError(err)
	}
	if f, ok := value.(float64); ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
		return fmt.Errorf("line %d: JSON, and so Kubernetes, has no number %s: write it in quotes", n.Line, n.Value)
	}
	text, err := json.Marshal(value)
	c.out = append(c.out, text...)
	return err
}

// oldBoolean reads what was a boolean in YAML 1.1, and is one to kubectl.
func oldBoolean(n *yaml.Node) (value, ok bool) {
	const quotedOrTagged = yaml.TaggedStyle | yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Style&quotedOrTagged != 0 || len(n.Value) > len("false") || n.Value == "" {
		return false, false
	}
	switch n.Value {
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE":
		return true, true
	case "n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE":
		return false, true
	}
	return false, false
}

// plainError takes off what only says which library complains.
func plainError(err error) error {
	return errors.New(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n  "))
}
