package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/graph"
	"github.com/warrener-dev/warrener/internal/manifest"
	"github.com/warrener-dev/warrener/internal/topology"
)

type graphFlags struct {
	source manifest.Source
	all    bool
	unfold bool
	output picture
}

func (a *app) graph() *cobra.Command {
	f := graphFlags{output: picture{format: "mermaid"}}
	command := &cobra.Command{
		Use:   "graph",
		Short: "Draw the topology: a page to click in, SVG, Mermaid or DOT",
		Long: "Draw exchanges, queues and topics, what leads from one to another and by which keys. Retries and dead\n" +
			"letters are folded into the queue or topic that they serve.\n\n" +
			"With -f or -k, draw manifests, and ask no cluster. Without, draw the custom resources of a namespace, or of\n" +
			"all, with what their status says: what is not ready, what has drifted, and where dead letters wait.",
		Example: "  " + a.verb("graph -o topology.html") + "\n  " + a.verb("graph -f topology/ -R -o topology.svg") + "\n  " +
			a.verb("graph -k overlays/prod --unfold -o mermaid >> README.md"),
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return a.drawGraph(command.Context(), f) },
	}
	flags := command.Flags()
	addSource(flags, &f.source)
	flags.BoolVarP(&f.all, "all-namespaces", "A", false, "draw all namespaces of the cluster in one picture")
	flags.BoolVar(&f.unfold, "unfold", false, "show retries and dead letters; in a page they can be folded again")
	flags.VarP(&f.output, "output", "o", "html, svg, mermaid or dot; or a file to write, whose name ends in .html, .svg, .mmd or .dot")
	return command
}

func (a *app) drawGraph(ctx context.Context, f graphFlags) error {
	declared, err := a.declared(ctx, f)
	if err != nil {
		return err
	}
	g := graph.Build(declared.sources())
	if len(g.Nodes) == 0 {
		return fmt.Errorf("there is nothing to draw %s: no exchange, no queue and no topic", declared.where)
	}
	text, err := f.output.draw(g, f.unfold)
	if err != nil {
		return err
	}
	if f.output.file == "" {
		_, err = a.Out.Write([]byte(text))
		return err
	}
	if err := os.WriteFile(f.output.file, []byte(text), 0o644); err != nil { //nolint:gosec // a picture is for everybody
		return err
	}
	fmt.Fprintf(a.Err, "wrote %s: %s\n", f.output.file, g.Counts())
	return nil
}

// picture is the flag -o: a format, and the file if not standard output.
type picture struct{ format, file string }

// extensions of files tell their format.
var extensions = map[string]string{
	".html": "html", ".htm": "html", ".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot",
}

func (p *picture) String() string { return cmp.Or(p.file, p.format) }

// Type implements pflag.Value.
func (*picture) Type() string { return "format|file" }

// Set implements pflag.Value.
func (p *picture) Set(value string) error {
	if slices.Contains(slices.Collect(maps.Values(extensions)), value) {
		*p = picture{format: value}
		return nil
	}
	format, known := extensions[strings.ToLower(filepath.Ext(value))]
	if !known {
		return fmt.Errorf("write html, svg, mermaid or dot, or a file whose name ends in .html, .svg, .mmd or .dot")
	}
	*p = picture{format: format, file: value}
	return nil
}

func (p *picture) draw(g *graph.Graph, unfold bool) (string, error) {
	switch p.format {
	case "html":
		return g.Page(unfold)
	case "svg":
		return g.SVG(unfold)
	case "dot":
		return g.DOT(unfold), nil
	default:
		return g.Mermaid(unfold), nil
	}
}

// display is what is drawn.
type display struct {
	objects     []v1alpha1.Object
	connections map[topology.ConnectionKey]v1alpha1.Connection
	// where it comes from, for people: "in namespace orders".
	where string
}

func (a *app) declared(ctx context.Context, f graphFlags) (*display, error) {
	if len(f.source.Files) > 0 || f.source.Kustomization != "" {
		return a.inManifests(ctx, f.source)
	}
	c, err := a.connect(a)
	if err != nil {
		return nil, err
	}
	return c.declared(ctx, c.scope(f.all))
}

// inManifests reads files. What cannot be read is said, and the rest is drawn.
func (a *app) inManifests(ctx context.Context, source manifest.Source) (*display, error) {
	set, err := a.readManifests(ctx, source)
	if err != nil {
		return nil, err
	}
	a.tellProblems(set)
	out := &display{connections: set.Connections(), where: "in these manifests"}
	for _, item := range set.Objects() {
		out.objects = append(out.objects, item.Object)
	}
	return out, nil
}

// declared reads the custom resources of a namespace, or of all (""), and the
// connections that they use, wherever those are.
func (c *cluster) declared(ctx context.Context, namespace string) (*display, error) {
	out := &display{connections: map[topology.ConnectionKey]v1alpha1.Connection{}, where: "in namespace " + namespace + ": -n names another one, -A takes all, and -f reads manifests"}
	if namespace == metav1.NamespaceAll {
		out.where = "in the cluster"
	}
	var err error
	if out.objects, err = c.objects(ctx, namespace); err != nil {
		return nil, err
	}
	return out, c.addConnections(ctx, out)
}

// addConnections looks in all namespaces that objects name. One that may not be
// read is no reason to draw nothing.
func (c *cluster) addConnections(ctx context.Context, out *display) error {
	namespaces := map[string]bool{}
	for _, object := range out.objects {
		namespaces[compile.ConnectionOf(object).Namespace] = true
	}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		connections, err := c.connections(ctx, namespace)
		if err != nil && namespace == c.namespace {
			return err
		}
		for _, connection := range connections {
			out.connections[connectionKey(connection)] = connection
		}
	}
	return nil
}

// sources compiles everything.
func (d *display) sources() []graph.Source {
	brokers := d.brokers()
	var out []graph.Source
	for _, object := range d.objects {
		key := compile.ConnectionOf(object)
		defaults := compile.ConnectionDefaults{Key: key}
		if connection, known := d.connections[key]; known {
			defaults.Version = connection.GetStatus().Version
			if rabbit, is := connection.(*v1alpha1.RabbitMQConnection); is {
				defaults.VirtualHost = rabbit.GetVirtualHost()
			}
		}
		claim := compile.Claim(object, defaults)
		out = append(out, graph.Source{Claim: claim, Broker: cmp.Or(brokers[key], brokerTitle(key)), State: stateOf(object, claim.Invalid)})
	}
	return out
}

// brokers gives one name to all connections that lead to one broker: that of the
// first.
func (d *display) brokers() map[topology.ConnectionKey]string {
	keys := slices.SortedFunc(maps.Keys(d.connections), func(x, y topology.ConnectionKey) int { return strings.Compare(x.String(), y.String()) })
	titles, out := map[string]string{}, map[topology.ConnectionKey]string{}
	for _, key := range keys {
		identity := clusterOf(d.connections[key])
		if titles[identity] == "" {
			titles[identity] = brokerTitle(key)
		}
		out[key] = titles[identity]
	}
	return out
}

// brokerTitle is `RabbitMQ orders/rabbitmq`.
func brokerTitle(key topology.ConnectionKey) string {
	return strings.TrimSuffix(key.Kind, "Connection") + " " + key.Namespace + "/" + key.Name
}

// clusterOf tells brokers apart: by what the controller found out, else by the
// address.
func clusterOf(connection v1alpha1.Connection) string {
	if id := connection.GetStatus().ClusterID; id != "" {
		return connection.KindName() + " " + id
	}
	switch c := connection.(type) {
	case *v1alpha1.RabbitMQConnection:
		return strings.TrimSuffix(c.Spec.Endpoint, "/")
	case *v1alpha1.KafkaConnection:
		return strings.Join(slices.Sorted(slices.Values(c.Spec.BootstrapServers)), ",")
	}
	return connectionKey(connection).String()
}

// stateOf is what the status says, and what is wrong with the spec.
func stateOf(object v1alpha1.Object, invalid error) graph.State {
	status := object.GetStatus()
	find := func(name string) *metav1.Condition { return meta.FindStatusCondition(status.Conditions, name) }
	var state graph.State
	if ready := find(v1alpha1.ConditionReady); ready != nil {
		state.Known = ready.Status == metav1.ConditionTrue
		if ready.Status == metav1.ConditionFalse {
			state.Known, state.Problem = true, ready.Reason+": "+ready.Message
		}
	}
	if drifted := find(v1alpha1.ConditionDrifted); drifted != nil && drifted.Status == metav1.ConditionTrue {
		state.Known, state.Drift = true, drifted.Message
	}
	if dead := find(v1alpha1.ConditionDeadLettersPresent); dead != nil && dead.Status == metav1.ConditionTrue {
		state.Known, state.DeadLetters = true, dead.Message
	}
	if invalid != nil {
		state.Problem = v1alpha1.ReasonInvalidSpec + ": " + invalid.Error()
	}
	return state
}
