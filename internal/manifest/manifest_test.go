package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func load(t *testing.T, source Source) *Set {
	t.Helper()
	set, err := Load(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// told renders what was read, one line an item, problem and ignored document,
// without the name of the folder.
func told(set *Set, root string) []string {
	var out []string
	for _, item := range set.Items {
		out = append(out, item.Position.String()+": "+item.String())
	}
	for _, p := range set.Problems {
		out = append(out, "problem "+p.String())
	}
	for _, ignored := range set.Ignored {
		out = append(out, "ignored "+ignored)
	}
	for i := range out {
		if root != "" {
			out[i] = strings.ReplaceAll(out[i], root+string(filepath.Separator), "")
		}
	}
	return out
}

func expect(t *testing.T, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

const (
	queueText = "apiVersion: topology.warrener.dev/v1alpha1\nkind: Queue\nmetadata: {name: NAME}\nspec:\n  connectionRef: {name: shop}\n  type: quorum\n"
	topicText = "apiVersion: topology.warrener.dev/v1alpha1\nkind: Topic\nmetadata: {name: NAME, namespace: events}\nspec:\n  connectionRef: {name: kafka}\n"
)

func queueNamed(name string) string { return strings.Replace(queueText, "NAME", name, 1) }
func topicNamed(name string) string { return strings.Replace(topicText, "NAME", name, 1) }

func TestFilesAndFolders(t *testing.T) {
	root := folder(t, map[string]string{
		"b.yaml":             queueNamed("b"),
		"a.yml":              "# a comment first\n---\n" + queueNamed("a1") + "---\n\n" + topicNamed("a2"),
		"c.json":             `{"apiVersion": "topology.warrener.dev/v1alpha1", "kind": "Queue", "metadata": {"name": "c"}, "spec": {"connectionRef": {"name": "shop"}, "type": "classic"}}`,
		"values.yaml":        "replicas: 3\n",
		"readme.md":          "no manifest",
		"inner/d.yaml":       queueNamed("d"),
		".hidden/e.yaml":     queueNamed("e"),
		"inner/deeper/f.yml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app, namespace: shop}\n",
	})
	flat := []string{
		"a.yml:3: Queue shop/a1",
		"a.yml:11: Topic events/a2",
		"b.yaml:1: Queue shop/b",
		"c.json:1: Queue shop/c",
	}
	t.Run("Flat", func(t *testing.T) {
		expect(t, told(load(t, Source{Files: []string{root}, Namespace: "shop"}), root),
			append(flat[:4:4], "ignored values.yaml:1: no Kubernetes object"))
	})
	t.Run("Recursive", func(t *testing.T) {
		expect(t, told(load(t, Source{Files: []string{root}, Recursive: true, Namespace: "shop"}), root),
			append(flat[:4:4], "inner/d.yaml:1: Queue shop/d", "ignored inner/deeper/f.yml:1: Deployment shop/app", "ignored values.yaml:1: no Kubernetes object"))
	})
	t.Run("EachFileOnce", func(t *testing.T) {
		b := filepath.Join(root, "b.yaml")
		expect(t, told(load(t, Source{Files: []string{b, filepath.Join(root, "inner", "..", "b.yaml"), b}}), root), []string{"b.yaml:1: Queue default/b"})
	})
	t.Run("NotThere", func(t *testing.T) {
		_, err := Load(t.Context(), Source{Files: []string{filepath.Join(root, "nothing.yaml")}})
		if err == nil || !strings.Contains(err.Error(), "nothing.yaml") {
			t.Errorf("error %v does not name the file", err)
		}
	})
	t.Run("Nothing", func(t *testing.T) {
		if _, err := Load(t.Context(), Source{}); err == nil {
			t.Error("a source without anything is no error")
		}
	})
}

func TestStdin(t *testing.T) {
	set := load(t, Source{Files: []string{"-"}, Stdin: strings.NewReader(queueNamed("q"))})
	expect(t, told(set, ""), []string{"<stdin>:1: Queue default/q"})
	if _, err := Load(t.Context(), Source{Files: []string{"-"}}); err == nil {
		t.Error("reading from no standard input is no error")
	}
}

func stdin(t *testing.T, manifests string) *Set {
	t.Helper()
	return load(t, Source{Files: []string{"-"}, Stdin: strings.NewReader(manifests), Namespace: "shop"})
}

func TestLists(t *testing.T) {
	set := stdin(t, `apiVersion: v1
kind: List
items:
- apiVersion: topology.warrener.dev/v1alpha1
  kind: Queue
  metadata: {name: a}
  spec: {connectionRef: {name: shop}, type: quorum}
- apiVersion: v1
  kind: Secret
  metadata: {name: s}
  stringData: {password: hidden}
---
apiVersion: topology.warrener.dev/v1alpha1
kind: TopicList
items:
- apiVersion: topology.warrener.dev/v1alpha1
  kind: Topic
  metadata: {name: b}
  spec:
    connectionRef: {name: kafka}
`)
	expect(t, told(set, ""), []string{"<stdin>:4: Queue shop/a", "<stdin>:8: Secret shop/s", "<stdin>:16: Topic shop/b"})
	if got := set.Items[2].Line("spec.connectionRef"); got != 20 {
		t.Errorf("line %d of a field in a list, not 20", got)
	}
	if secret := set.Secret("shop", "s"); secret == nil || secret.StringData["password"] != "hidden" {
		t.Errorf("the Secret is %v", secret)
	}
	if set.Secret("other", "s") != nil || set.ConfigMap("shop", "s") != nil {
		t.Error("a Secret is found under another namespace, or as a ConfigMap")
	}
}

func TestProblems(t *testing.T) {
	head := "apiVersion: topology.warrener.dev/v1alpha1\nkind: Queue\nmetadata: {name: q}\nspec:\n  connectionRef: {name: shop}\n"
	cases := map[string]struct {
		manifest string
		want     []string
	}{
		"UnknownField": {head + "  type: quorum\n  bindings:\n  - source: orders\n    colour: red\n", []string{
			"<stdin>:1: Queue shop/q", "problem <stdin>:9: Queue shop/q: unknown field spec.bindings[0].colour: it is left out"}},
		"WrongCase": {head + "  type: quorum\n  MaxLength: 3\n", []string{
			"<stdin>:1: Queue shop/q", "problem <stdin>:7: Queue shop/q: unknown field spec.MaxLength: it is left out"}},
		"TwiceInOneTable": {head + "  type: quorum\n  maxLength: 3\n  maxLength: 4\n", []string{
			"<stdin>:1: Queue shop/q", "problem <stdin>:8: Queue shop/q: maxLength stands twice in one table, and the last one counts: remove one of them"}},
		"WrongType": {head + "  type: quorum\n  maxLength: \"3\"\n", []string{
			"problem <stdin>:7: Queue cannot be read: spec.maxLength is a string, and int64 is expected"}},
		"BadDuration": {head + "  type: quorum\n  messageTTL: 5 minutes\n", []string{
			`problem <stdin>:7: Queue cannot be read: spec.messageTTL: time: unknown unit " minutes" in duration "5 minutes"`}},
		"Syntax": {queueNamed("a") + "---\nkind: [\n  a: }\n---\n" + queueNamed("b"), []string{
			"<stdin>:1: Queue shop/a", "<stdin>:11: Queue shop/b", "problem <stdin>:9: this is no YAML: did not find expected node content"}},
		"NoKind":          {"a: 1\n", []string{"problem <stdin>:1: this is no Kubernetes object: write apiVersion and kind, as texts"}},
		"NoTable":         {"- a\n", []string{"problem <stdin>:1: this is no Kubernetes object: write apiVersion and kind, as texts"}},
		"NoName":          {"apiVersion: topology.warrener.dev/v1alpha1\nkind: Queue\nspec: {type: quorum, connectionRef: {name: a}}\n", []string{"problem <stdin>:1: Queue has no name: write metadata.name"}},
		"UnknownKind":     {"apiVersion: topology.warrener.dev/v1alpha1\nkind: Queu\n", []string{"problem <stdin>:1: there is no kind Queu of topology.warrener.dev/v1alpha1: the kinds are RabbitMQConnection, KafkaConnection, VirtualHost, Exchange, Queue, ExchangeBinding, Topic, of topology.warrener.dev/v1alpha1"}},
		"Inventory":       {"apiVersion: topology.warrener.dev/v1alpha1\nkind: BrokerInventory\nmetadata: {name: i}\n", []string{"ignored <stdin>:1: BrokerInventory i"}},
		"DeclaredTwice":   {queueNamed("a") + "---\n" + queueNamed("a"), []string{"<stdin>:1: Queue shop/a", "problem <stdin>:8: Queue shop/a is declared at <stdin>:1 already, and this one is left out: remove one of the two"}},
		"Infinity":        {head + "  type: quorum\n  arguments: {a: .inf}\n", []string{"problem <stdin>:1: line 7: JSON, and so Kubernetes, has no number .inf: write it in quotes"}},
		"EndlessAlias":    {"apiVersion: v1\nkind: ConfigMap\nmetadata: &m\n  labels: *m\n", []string{"problem <stdin>:1: it is nested too deeply, or an alias leads back to itself"}},
		"SecretsAreQuiet": {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: not-base64!}\n", []string{"problem <stdin>:1: Secret cannot be read: illegal base64 data at input byte 3"}},
		"Directive":       {"%YAML 1.1\n# comment\n---\n" + queueNamed("a") + "...\n", []string{"<stdin>:4: Queue shop/a"}},
		"SameLine":        {"--- {a: b}\n--- # nothing\n" + queueNamed("a"), []string{"<stdin>:3: Queue shop/a", "problem <stdin>:1: this is no Kubernetes object: write apiVersion and kind, as texts"}},
		"Empty":           {"# nothing\n---\n\n---\n# nothing either\n", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { expect(t, told(stdin(t, c.manifest), ""), c.want) })
	}
}

func TestLine(t *testing.T) {
	set := stdin(t, `---
# where everything stands
apiVersion: topology.warrener.dev/v1alpha1
kind: Queue
metadata:
  name: q
  annotations:
    topology.warrener.dev/hand-over-to: other
spec:
  connectionRef:
    name: shop
  type: quorum
  deadLetter:
    create: false
    exchange: ""
  bindings:
  - source: a
    routingKeys:
    - one
    - two
  - {source: b}
  arguments:
    x-odd: 1
    "odd key": 2
    a.b: 3
`)
	for path, want := range map[string]int{
		"":                                3,
		"spec":                            9,
		"spec.type":                       12,
		"spec.deadLetter":                 13,
		"spec.deadLetter.queue":           13, // is not written
		"spec.maxLength":                  9,
		"status":                          3,
		"spec.bindings":                   16,
		"spec.bindings[0]":                17,
		"spec.bindings[0].source":         17,
		"spec.bindings[0].routingKeys[1]": 20,
		"spec.bindings[1].source":         21,
		"spec.bindings[7].source":         16,
		"spec.arguments[x-odd]":           23,
		`spec.arguments["odd key"]`:       24,
		`spec.arguments["odd k…"]`:        24,
		"spec.arguments[a.b]":             25,
		"spec.arguments.a.b":              25,
		"metadata.annotations[topology.warrener.dev/hand-over-to]": 8,
	} {
		if got := set.Items[0].Line(path); got != want {
			t.Errorf("%s stands in line %d, not in %d", path, want, got)
		}
	}
}

func TestValues(t *testing.T) {
	set := stdin(t, `apiVersion: topology.warrener.dev/v1alpha1
kind: Queue
metadata: {name: &name q}
spec:
  connectionRef: {name: *name}
  type: quorum
  maxLength: 1_000
  arguments: &arguments
    integer: 3
    hex: 0x10
    float: 1.5
    whole: 3.0
    text: "3"
    old: yes
    quoted: "yes"
    unicode: "é\t"
    nothing: null
    day: 2020-01-02
  bindings:
  - source: a
    arguments: {<<: *arguments, integer: 4}
`)
	if len(set.Problems) > 0 {
		t.Fatal(set.Problems)
	}
	claim := set.Items[0].Object.GetConnectionRef()
	if claim.Name != "q" {
		t.Errorf("the alias is %q", claim.Name)
	}
	queue := set.Items[0].queue(t)
	want := map[string]string{
		"integer": "3", "hex": "16", "float": "1.5", "whole": "3", "text": `"3"`, "old": "true", "quoted": `"yes"`,
		"unicode": `"é\t"`, "nothing": "null", "day": `"2020-01-02"`,
	}
	got := map[string]string{}
	for key, value := range queue.Spec.Arguments {
		got[key] = value.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	merged := queue.Spec.Bindings[0].Arguments
	if len(merged) != len(want) || merged["integer"].String() != "4" {
		t.Errorf("the merge is %v", merged)
	}
	if *queue.Spec.MaxLength != 1000 {
		t.Errorf("1_000 is %d", *queue.Spec.MaxLength)
	}
}

func TestClaims(t *testing.T) {
	set := stdin(t, `apiVersion: topology.warrener.dev/v1alpha1
kind: RabbitMQConnection
metadata: {name: shop}
spec: {endpoint: "http://localhost:15672", virtualHost: trade, authentication: {type: Basic, secretRef: {name: s}}}
---
`+queueNamed("a")+"---\n"+strings.Replace(queueNamed("b"), "name: shop", "name: elsewhere", 1))
	claims := set.Claims(compile.ConnectionDefaults{VirtualHost: "/"})
	var got []string
	for _, claim := range claims {
		got = append(got, claim.Connection.String()+" "+claim.Want[0].Resource.ID().String())
	}
	expect(t, got, []string{"RabbitMQConnection shop/shop queue trade/a", "RabbitMQConnection shop/elsewhere queue / b"})
	key := topology.ConnectionKey{Kind: "RabbitMQConnection", Namespace: "shop", Name: "shop"}
	if set.Connections()[key] == nil || len(set.Connections()) != 1 {
		t.Errorf("the connections are %v", set.Connections())
	}
}

func TestKustomization(t *testing.T) {
	root := folder(t, map[string]string{
		"base/kustomization.yaml": "resources: [queues.yaml]\n",
		"base/queues.yaml":        queueNamed("orders") + "---\n" + queueNamed("orders-audit"),
		"top/kustomization.yaml":  "resources: [../base]\nnamePrefix: test-\nnamespace: trade\npatches:\n- path: patch.yaml\nsecretGenerator:\n- {name: made, literals: [password=x]}\ngeneratorOptions: {disableNameSuffixHash: true}\n",
		"top/patch.yaml":          "apiVersion: topology.warrener.dev/v1alpha1\nkind: Queue\nmetadata: {name: orders}\nspec: {maxLength: 3, colour: red}\n",
	})
	set := load(t, Source{Kustomization: filepath.Join(root, "top")})
	expect(t, told(set, root), []string{
		"base/queues.yaml:1: Queue trade/test-orders",
		"base/queues.yaml:8: Queue trade/test-orders-audit",
		"top: Secret trade/test-made",
		"problem base/queues.yaml:1: Queue trade/test-orders: unknown field spec.colour: it is left out",
	})
	if queue := set.Items[0].queue(t); queue.Spec.MaxLength == nil || *queue.Spec.MaxLength != 3 {
		t.Error("the patch has no effect")
	}
	if line := set.Items[1].Line("spec.type"); line != 13 {
		t.Errorf("line %d, not 13", line)
	}
	if _, err := Load(t.Context(), Source{Kustomization: filepath.Join(root, "nothing")}); err == nil {
		t.Error("a kustomization that is not there is no error")
	}
}

func (i *Item) queue(t *testing.T) *v1alpha1.Queue {
	t.Helper()
	queue, ok := i.Object.(*v1alpha1.Queue)
	if !ok {
		t.Fatalf("%s is no Queue", i)
	}
	return queue
}

// 10,000 objects in a hundred files.
func BenchmarkLoad(b *testing.B) {
	root := b.TempDir()
	for f := range 100 {
		var content strings.Builder
		for i := range 100 {
			content.WriteString(queueNamed(fmt.Sprintf("q%d-%d", f, i)) +
				"  maxLength: 1000\n  overflow: reject-publish\n  deadLetter: {}\n  bindings:\n  - {source: orders, routingKeys: [\"order.*.created\"]}\n---\n")
		}
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("%d.yaml", f)), []byte(content.String()), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		set, err := Load(b.Context(), Source{Files: []string{root}})
		if err != nil || len(set.Items) != 10_000 || len(set.Problems) > 0 {
			b.Fatal(err, len(set.Items), set.Problems)
		}
	}
}
