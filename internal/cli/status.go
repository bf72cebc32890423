package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// connectionReport is a connection as -o json and yaml give it.
type connectionReport struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Ready is True, False or Unknown, as in the condition.
	Ready   string `json:"ready"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`

	ClusterID        string `json:"clusterID,omitempty"`
	Version          string `json:"version,omitempty"`
	Owned            int32  `json:"owned"`
	PendingDeletions int32  `json:"pendingDeletions"`
	LeftBehind       int32  `json:"leftBehind"`

	HeldDeletions *v1alpha1.HeldDeletions `json:"heldDeletions,omitempty"`
}

// waits tells whether it needs a person.
func (r connectionReport) waits() bool {
	return r.Ready != string(metav1.ConditionTrue) || r.LeftBehind > 0 || r.HeldDeletions != nil
}

func reportOf(c v1alpha1.Connection) connectionReport {
	s := c.GetStatus()
	out := connectionReport{
		Kind: c.KindName(), Namespace: c.GetNamespace(), Name: c.GetName(), Ready: string(metav1.ConditionUnknown),
		Reason: "NotSeen", Message: "no controller has looked at it yet", ClusterID: s.ClusterID, Version: s.Version,
		Owned: s.Owned, PendingDeletions: s.PendingDeletions, LeftBehind: s.LeftBehindCount, HeldDeletions: s.HeldDeletions,
	}
	if ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); ready != nil {
		out.Ready, out.Reason, out.Message = string(ready.Status), ready.Reason, ready.Message
	}
	return out
}

type statusFlags struct {
	all, leftBehind, exitCode bool
	home                      string
	output                    format
}

func (a *app) status() *cobra.Command {
	var f statusFlags
	command := &cobra.Command{
		Use:   "status",
		Short: "Connections and resources: what works, and what waits for a person",
		Long: "Show the connections of a namespace, and how many of its resources are as declared; then what waits for a\n" +
			"person, and why: what is to be approved, is not ready, has drifted, holds dead letters, was held back or left behind.\n\n" +
			"With --left-behind, show what stays on a broker although its custom resource is gone, an object a line.",
		Example: "  " + a.verb("status -A") + "\n  " + a.verb("status --left-behind -n orders"),
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := a.connect(a)
			if err != nil {
				return err
			}
			if f.leftBehind {
				return a.showLeftBehind(command.Context(), c, f)
			}
			connections, err := c.connections(command.Context(), c.scope(f.all))
			if err != nil {
				return err
			}
			objects, err := c.objects(command.Context(), c.scope(f.all))
			if err != nil {
				return err
			}
			stranded := c.stranded(command.Context(), connections, c.scope(f.all), f.home)
			return a.showStatus(c, connections, objects, stranded, f)
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&f.all, "all-namespaces", "A", false, "look at all namespaces")
	flags.BoolVar(&f.leftBehind, "left-behind", false, "list what stays on a broker although its custom resource is gone")
	flags.BoolVar(&f.exitCode, "exit-code", false, "end with 2 if something waits for a person")
	flags.VarP(&f.output, "output", "o", "json or yaml, for programs")
	addHome(flags, &f.home)
	return command
}

// scope is the namespace to list; "" is all.
func (c *cluster) scope(all bool) string {
	if all {
		return metav1.NamespaceAll
	}
	return c.namespace
}

func (a *app) showStatus(c *cluster, connections []v1alpha1.Connection, declared []v1alpha1.Object, stranded []stranding, f statusFlags) error {
	kinds, troubled := survey(declared)
	reports, waiting := []connectionReport{}, len(troubled)+len(stranded) > 0
	for _, connection := range connections {
		reports = append(reports, reportOf(connection))
		waiting = waiting || reports[len(reports)-1].waits()
	}
	switch {
	case f.output != "":
		all := map[string]any{"connections": reports, "resources": kinds, "waiting": troubled}
		if len(stranded) > 0 {
			all["stranded"] = stranded
		}
		if err := f.output.print(a.Out, all); err != nil {
			return err
		}
	default:
		if len(reports) > 0 {
			a.tellStatus(reports, kinds, troubled, f.all)
			tellStranded(a.page(), stranded)
			break
		}
		where := "in the cluster"
		if !f.all {
			where = "in namespace " + c.namespace + ". -A looks at all namespaces"
		}
		fmt.Fprintf(a.Err, "There are no connections %s.\n", where)
		tellKinds(a.page(), kinds)
		a.tellObjects(a.page(), troubled)
		tellStranded(a.page(), stranded)
	}
	if waiting && f.exitCode {
		return errFound
	}
	return nil
}

func (a *app) tellStatus(reports []connectionReport, kinds []kindReport, troubled []objectReport, namespaces bool) {
	p := a.page()
	header := []string{"CONNECTION", "READY", "BROKER", "CLUSTER", "OWNED", "PENDING", "LEFT BEHIND", "HELD"}
	if namespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	var rows [][]cell
	for _, r := range reports {
		held := 0
		if r.HeldDeletions != nil {
			held = int(r.HeldDeletions.Count)
		}
		broker := strings.TrimSuffix(r.Kind, "Connection")
		row := []cell{
			{r.Name, plain}, {r.Ready, readyColour(r.Ready)},
			{strings.TrimSpace(broker + " " + r.Version), plain}, {clusterName(r.ClusterID), plain},
			{strconv.Itoa(int(r.Owned)), plain}, count(int(r.PendingDeletions), plain),
			count(int(r.LeftBehind), yellow), count(held, yellow),
		}
		if namespaces {
			row = append([]cell{{r.Namespace, plain}}, row...)
		}
		rows = append(rows, row)
	}
	p.table(header, rows)
	tellKinds(p, kinds)
	for _, r := range reports {
		a.tellWaiting(p, r)
	}
	a.tellObjects(p, troubled)
}

// tellWaiting says of a connection what waits for a person, and what to do.
func (a *app) tellWaiting(p paper, r connectionReport) {
	name, broker := r.Namespace+"/"+r.Name, strings.TrimSuffix(r.Kind, "Connection")
	at := " -n " + r.Namespace
	if r.Ready != string(metav1.ConditionTrue) {
		p.printf("\n%s\n  %s\n", p.paint(cell{fmt.Sprintf("%s %s is not ready: %s", broker, name, r.Reason), readyColour(r.Ready)}), r.Message)
	}
	if h := r.HeldDeletions; h != nil {
		p.printf("\n%s\n", p.paint(cell{fmt.Sprintf("%s %s holds %s back: unusually many went at once", broker, name, deletions(int(h.Count))), yellow}))
		p.printf("  of             %s\n", firstOf(h.Owners, int(h.Count)))
		p.printf("  to keep them   apply the custom resources again\n")
		p.printf("  to delete      %s\n", a.verb("allow-deletes", strings.ToLower(r.Kind)+"/"+r.Name)+at)
	}
	if r.LeftBehind > 0 {
		p.printf("\n%s\n", p.paint(cell{fmt.Sprintf("%s %s left %s behind", broker, name, objects(int(r.LeftBehind))), yellow}))
		p.printf("  which and why  %s\n", a.verb("status --left-behind")+at)
	}
}

// clusterName is a cluster's id without the words that all ids of RabbitMQ begin
// with.
func clusterName(id string) string {
	return cmp.Or(strings.TrimPrefix(id, "rabbitmq-cluster-id-"), "-")
}

func readyColour(ready string) colour {
	switch ready {
	case string(metav1.ConditionTrue):
		return green
	case string(metav1.ConditionFalse):
		return red
	}
	return yellow
}

// count is a number that matters only if it is not zero.
func count(n int, c colour) cell {
	if n == 0 {
		return cell{"0", plain}
	}
	return cell{strconv.Itoa(n), c}
}

func deletions(n int) string { return several(n, "deletion") }
func objects(n int) string   { return several(n, "object") }

func several(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// firstOf names a few of many.
func firstOf(names []string, total int) string {
	const most = 3
	shown := names[:min(most, len(names))]
	text := strings.Join(shown, ", ")
	if rest := total - len(shown); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}
