package graph

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dop251/goja"
)

// The layout library, as its makers publish it; hack/dagre.sh fetched it.
//
//go:embed assets/dagre/dagre.min.js
var dagreScript string

//go:embed assets/layout.js
var layoutScript string

//go:embed assets/picture.js
var pictureScript string

//go:embed assets/picture.css
var pictureStyle string

// cloning is the one thing that dagre takes from its surroundings. What it
// clones is plain data.
const cloning = `globalThis.structuredClone = (value) => value === undefined ? undefined : JSON.parse(JSON.stringify(value));`

// dagre is the library without its last line, which would have a browser look
// for a source map.
func dagre() string {
	script, _, _ := strings.Cut(dagreScript, "\n//# sourceMappingURL=")
	return script
}

// artist is the same JavaScript that a page has.
type artist struct {
	vm    *goja.Runtime
	graph goja.Value
}

func newArtist(g *Graph) (*artist, error) {
	vm := goja.New()
	vm.SetFieldNameMapper(goja.TagFieldNameMapper("json", true))
	for _, script := range []struct{ name, text string }{
		{"cloning", cloning}, {"dagre.min.js", dagre()}, {"layout.js", layoutScript}, {"picture.js", pictureScript},
	} {
		if _, err := vm.RunScript(script.name, script.text); err != nil {
			return nil, fmt.Errorf("load %s: %w", script.name, err)
		}
	}
	text, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	parse, _ := goja.AssertFunction(vm.Get("JSON").ToObject(vm).Get("parse"))
	value, err := parse(nil, vm.ToValue(string(text)))
	if err != nil {
		return nil, fmt.Errorf("hand the graph over: %w", err)
	}
	return &artist{vm: vm, graph: value}, nil
}

// call runs a function of a script on the graph.
func (a *artist) call(module, name string, into any, arguments ...any) error {
	picture, err := a.vm.RunString(module)
	if err != nil {
		return err
	}
	function, ok := goja.AssertFunction(picture.ToObject(a.vm).Get(name))
	if !ok {
		return fmt.Errorf("%s has no function %s", module, name)
	}
	values := []goja.Value{a.graph}
	for _, argument := range arguments {
		values = append(values, a.vm.ToValue(argument))
	}
	result, err := function(nil, values...)
	if err != nil {
		return fmt.Errorf("draw the picture: %w", err)
	}
	return a.vm.ExportTo(result, into)
}

// opened lists the nodes that are open if all are, or none.
func (g *Graph) opened(unfold bool) []int {
	open := []int{}
	for i, node := range g.Nodes {
		if unfold && node.Inside != "" {
			open = append(open, i)
		}
	}
	return open
}

// draw gives the picture as an SVG element; without a style it has none.
func (g *Graph) draw(unfold bool, style string) (string, error) {
	a, err := newArtist(g)
	if err != nil {
		return "", err
	}
	var picture struct {
		SVG string `json:"svg"`
	}
	if err := a.call("warrenerPicture", "draw", &picture, g.opened(unfold), style); err != nil {
		return "", err
	}
	return picture.SVG, nil
}

// SVG is a picture that stands alone. Unfold shows what is derived from fields,
// too: retries and dead letters.
func (g *Graph) SVG(unfold bool) (string, error) {
	text, err := g.draw(unfold, pictureStyle)
	return text + "\n", err
}
