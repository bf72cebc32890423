package graph

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/golden"
)

// declared reads custom resources of namespace orders.
func declared(t *testing.T, text string) []Source {
	t.Helper()
	var out []Source
	for document := range strings.SplitSeq(text, "\n---\n") {
		var header struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &header); err != nil {
			t.Fatal(err)
		}
		for _, object := range v1alpha1.NewObjects() {
			if object.KindName() != header.Kind {
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				t.Fatal(err)
			}
			object.SetNamespace("orders")
			claim := compile.Claim(object, compile.ConnectionDefaults{VirtualHost: "shop"})
			if claim.Invalid != nil {
				t.Fatalf("%s: %v", claim.Owner, claim.Invalid)
			}
			out = append(out, Source{Claim: claim})
		}
	}
	return out
}

func samples(t *testing.T) []Source {
	t.Helper()
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSpace(string(text)))
	}
	return declared(t, strings.Join(all, "\n---\n"))
}

// colourful gives three of the samples a state.
func colourful(sources []Source) []Source {
	for i := range sources {
		state := State{Known: true}
		switch sources[i].Claim.Owner.Name {
		case "order-invoice":
			state.DeadLetters = "2 messages wait in order.invoice.dead"
		case "analytics":
			state.Drift = "arguments.x-max-length: 5 on the broker, 1000000 declared"
		case "audit-orders":
			state.Problem = "Conflict: owned by another"
		}
		sources[i].State = state
	}
	return sources
}

func TestGolden(t *testing.T) {
	for _, test := range []struct {
		name    string
		sources []Source
		unfold  bool
	}{
		{"samples", samples(t), false},
		{"samples-open", samples(t), true},
		{"colours", colourful(samples(t)), true},
		{"outside", declared(t, outside), false},
		{"shared", declared(t, shared), true},
	} {
		g := Build(test.sources)
		svg, err := g.SVG(test.unfold)
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, test.name+".svg", svg)
		golden.Check(t, test.name+".mmd", g.Mermaid(test.unfold))
		golden.Check(t, test.name+".dot", g.DOT(test.unfold))
	}
}

// outside refers to exchanges and a queue that nothing declares.
const outside = `
kind: Queue
metadata: {name: jobs}
spec:
  connectionRef: {name: rabbitmq}
  type: quorum
  bindings: [{source: amq.topic, routingKeys: ["job.#", "job.a", "job.b"]}]
  deadLetter: {create: false, exchange: "", routingKey: graveyard}
---
kind: Exchange
metadata: {name: in}
spec: {connectionRef: {name: rabbitmq}, type: x-consistent-hash, alternateExchange: nowhere, bindings: [{source: in, routingKeys: [again]}]}
`

// shared is a dead-letter exchange of two queues, and a binding that somebody
// else made to it.
const shared = `
kind: Queue
metadata: {name: a}
spec: {connectionRef: {name: rabbitmq}, type: quorum, deadLetter: {exchange: dlx}}
---
kind: Queue
metadata: {name: b}
spec: {connectionRef: {name: rabbitmq}, type: quorum, deadLetter: {exchange: dlx}}
---
kind: Queue
metadata: {name: audit}
spec: {connectionRef: {name: rabbitmq}, type: stream}
---
kind: ExchangeBinding
metadata: {name: audit}
spec: {connectionRef: {name: rabbitmq}, source: dlx, destination: audit, destinationType: queue, routingKeys: [a]}
`

// twoOwners bind the same two objects.
const twoOwners = `
kind: ExchangeBinding
metadata: {name: one}
spec: {connectionRef: {name: rabbitmq}, source: here, destination: there, destinationType: queue, routingKeys: [a]}
---
kind: ExchangeBinding
metadata: {name: two}
spec: {connectionRef: {name: rabbitmq}, source: here, destination: there, destinationType: queue, routingKeys: [b]}
`

// The order in which claims come makes no difference.
func TestOrderMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sources := append(town(12), declared(t, twoOwners)...)
		want := Build(sources)
		if diff := cmp.Diff(want, Build(rapid.Permutation(sources).Draw(rt, "order"))); diff != "" {
			rt.Fatalf("another order, another graph:\n%s", diff)
		}
	})
}

func (g *Graph) named(t *testing.T, kind, name string) int {
	t.Helper()
	for i, node := range g.Nodes {
		if node.Kind == kind && node.Name == name {
			return i
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return 0
}

// sees lists arrows as text while some nodes are open.
func (g *Graph) sees(open ...int) []string {
	var out []string
	for _, e := range g.view(func(i int) bool {
		for _, o := range open {
			if o == i {
				return true
			}
		}
		return false
	}).edges {
		out = append(out, fmt.Sprintf("%s -%s-> %s", g.Nodes[e.From].Name, g.Edges[e.Edge].Kind, g.Nodes[e.To].Name))
	}
	return out
}

func TestFolding(t *testing.T) {
	g := Build(declared(t, shared))
	a, b := g.named(t, Queue, "a"), g.named(t, Queue, "b")
	for _, test := range []struct {
		reason string
		open   []int
		want   []string
	}{
		{"what leads out of an inside is drawn at those whose inside it is", nil, []string{"a -binding-> audit", "b -binding-> audit"}},
		{"one open: its own ways, and not those of the other", []int{a}, []string{"dlx -binding-> a.dead", "dlx -binding-> audit", "a -dead-> dlx"}},
		{"both open", []int{a, b}, []string{"dlx -binding-> a.dead", "dlx -binding-> audit", "dlx -binding-> b.dead", "a -dead-> dlx", "b -dead-> dlx"}},
	} {
		if diff := cmp.Diff(test.want, g.sees(test.open...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.reason, diff)
		}
	}
}

// The page has its own fold.go, in JavaScript: both must see the same.
func TestPageSeesTheSame(t *testing.T) {
	graphs := []*Graph{Build(declared(t, shared)), Build(samples(t)), Build(town(40))}
	artists := make([]*artist, len(graphs))
	for i, g := range graphs {
		var err error
		if artists[i], err = newArtist(g); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, len(graphs)-1).Draw(rt, "graph")
		g := graphs[n]
		open, isOpen := []int{}, make([]bool, len(g.Nodes))
		for i := range g.Nodes {
			if isOpen[i] = rapid.Bool().Draw(rt, "open"); isOpen[i] {
				open = append(open, i)
			}
		}
		want := g.view(func(i int) bool { return isOpen[i] })
		var got struct {
			Seen  []bool     `json:"seen"`
			Edges []seenEdge `json:"edges"`
		}
		if err := artists[n].call("warrenerLayout", "view", &got, open); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want.seen, got.Seen); diff != "" {
			rt.Errorf("nodes (-Go +JavaScript):\n%s", diff)
		}
		if len(want.edges) != len(got.Edges) || len(want.edges) > 0 && cmp.Diff(want.edges, got.Edges) != "" {
			rt.Errorf("edges: Go %v, JavaScript %v", want.edges, got.Edges)
		}
	})
}

var (
	drawnNode = regexp.MustCompile(`data-node="(\d+)"`)
	drawnEdge = regexp.MustCompile(`class="edge[^"]*" data-edge="(\d+)"`)
)

// Large pictures are cut into parts. Nothing may get lost on the way, and no part
// may become too high to read.
func TestLargePicturesAreWhole(t *testing.T) {
	g := Build(town(160))
	svg, err := g.SVG(false)
	if err != nil {
		t.Fatal(err)
	}
	seen := g.view(allFolded)
	nodes := map[string]int{}
	for _, m := range drawnNode.FindAllStringSubmatch(svg, -1) {
		nodes[m[1]]++
	}
	for i, is := range seen.seen {
		if want := map[bool]int{true: 1}[is]; nodes[fmt.Sprint(i)] != want {
			t.Errorf("%s is drawn %d times, want %d", g.Nodes[i].Name, nodes[fmt.Sprint(i)], want)
		}
	}
	edges := map[string]bool{}
	for _, m := range drawnEdge.FindAllStringSubmatch(svg, -1) {
		edges[m[1]] = true
	}
	for _, e := range seen.edges {
		if !edges[fmt.Sprint(e.Edge)] {
			t.Errorf("%s → %s is not drawn", g.Nodes[e.From].Name, g.Nodes[e.To].Name)
		}
	}
	var width, height int
	_, size, _ := strings.Cut(svg, `width="`)
	if _, err := fmt.Sscanf(size, `%d" height="%d"`, &width, &height); err != nil {
		t.Fatal(err)
	}
	if height > 2*width || width > 4*height {
		t.Errorf("%d × %d is no shape for a screen", width, height)
	}
}

// Names are whatever a broker accepts.
func TestOddNames(t *testing.T) {
	const name = `"><script>alert(1)</script>&amp;\n|]);--> ` + "\x01\t" + "日本\U0001F407"
	exchange := &topology.Exchange{VirtualHost: name, Name: name, Type: "topic", Durable: true}
	queue := &topology.Queue{VirtualHost: name, Name: name, Type: "quorum", Durable: true}
	binding := &topology.Binding{VirtualHost: name, Source: name, Destination: name, DestinationType: "queue", RoutingKey: name}
	claim := topology.Claim{Want: []topology.Want{{Resource: exchange}, {Resource: queue}, {Resource: binding, Shareable: true}}}
	g := Build([]Source{{Claim: claim, Broker: name, State: State{Known: true, Drift: name}}})
	svg, err := g.SVG(true)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the SVG is no XML: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "script" {
			t.Error("a name became a script")
		}
	}
	page, err := g.Page(false)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page, "<script>alert") {
		t.Error("a name became a script in the page")
	}
	golden.Check(t, "odd.mmd", g.Mermaid(true))
	golden.Check(t, "odd.dot", g.DOT(true))
}

// A page asks for nothing: the only addresses in it are names of XML.
func TestPageNeedsNothing(t *testing.T) {
	page, err := Build(samples(t)).Page(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range regexp.MustCompile(`(?:https?:)?//[a-zA-Z][^\s"'<>)]*\.[^\s"'<>)]*`).FindAllString(page, -1) {
		if address != "http://www.w3.org/2000/svg" {
			t.Errorf("the page names %s", address)
		}
	}
	for _, word := range []string{"sourceMappingURL", "@import", "url(http", "<link", "<img"} {
		if strings.Contains(page, word) {
			t.Errorf("the page has %q", word)
		}
	}
	if !strings.Contains(page, "Chris Pettitt") {
		t.Error("the licence of dagre is not in the page")
	}
}

func TestDagreIsTheOneInVersionsEnv(t *testing.T) {
	versions, err := os.ReadFile("../../hack/versions.env")
	if err != nil {
		t.Fatal(err)
	}
	library, err := os.ReadFile("assets/dagre/dagre.min.js")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(library)
	if want := "DAGRE_SHA256=" + hex.EncodeToString(sum[:]) + "\n"; !bytes.Contains(versions, []byte(want)) {
		t.Errorf("hack/versions.env has not %s: run hack/dagre.sh", want)
	}
}
