package graph

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"text/template"
)

//go:embed assets/page.html
var pageText string

//go:embed assets/page.css
var pageStyle string

//go:embed assets/page.js
var pageScript string

//go:embed assets/dagre/LICENSE
var dagreLicense string

// pageTemplate is of text/template: whatever is put in is HTML already, and the
// hashes of style and script are of what stands there to the byte.
var pageTemplate = template.Must(template.New("page").Parse(pageText))

// Page is the picture as a page of HTML: one file that needs no other, loads
// nothing, and can be opened from a disk. Its content security policy lets no
// script run but its own, whatever the names of the objects are. What it unfolds
// the browser lays out, which is faster at it.
func (g *Graph) Page(unfold bool) (string, error) {
	picture, err := g.draw(false, "")
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(g) // which writes < as \u003c, so that nothing in it ends the script element
	if err != nil {
		return "", err
	}
	style := pictureStyle + pageStyle
	script := "/*!\nContains dagre, under this licence:\n\n" + dagreLicense + "*/\n" +
		strings.Join([]string{dagre(), layoutScript, pictureScript, pageScript}, "\n")
	var out strings.Builder
	err = pageTemplate.Execute(&out, map[string]any{
		"Title": "Messaging topology", "Unfold": unfold, "Counts": g.Counts(), "Picture": picture, "Graph": string(data),
		"Style": style, "StyleHash": hash(style), "Script": script, "ScriptHash": hash(script),
	})
	return out.String(), err
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Counts is "3 exchanges · 8 queues · 1 topic": what custom resources are named
// for.
func (g *Graph) Counts() string {
	count := map[string]int{}
	for _, node := range g.Nodes {
		if len(node.In) == 0 && !node.Outside {
			count[node.Kind]++
		}
	}
	var parts []string
	for _, kind := range []string{Exchange, Queue, Topic} {
		if n := count[kind]; n == 1 {
			parts = append(parts, "1 "+kind)
		} else if n > 1 {
			parts = append(parts, strconv.Itoa(n)+" "+kind+"s")
		}
	}
	if len(parts) == 0 {
		return "nothing to draw"
	}
	return strings.Join(parts, " · ")
}
