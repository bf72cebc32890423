package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// stranding is an operation that nothing carries on with, because the connection
// that it ran through is gone.
type stranding struct {
	Object    string `json:"object"`
	Operation string `json:"operation"`
	Owner     string `json:"owner,omitempty"`
	// Connection is kind, namespace and name.
	Connection connectionName `json:"connection"`
}

// stranded lists the operations that stand still through connections of a
// namespace, or of all (""), that are gone. Only the inventory knows of them: who
// may not read it is told of none.
func (c *cluster) stranded(ctx context.Context, connections []v1alpha1.Connection, namespace, home string) []stranding {
	entries, err := c.books(ctx, home)
	if err != nil {
		return nil
	}
	there := map[connectionName]bool{}
	for _, connection := range connections {
		there[nameOf(connection)] = true
	}
	var out []stranding
	for _, e := range entries {
		via := connectionName{Kind: e.Connection.Kind, Namespace: e.Connection.Namespace, Name: e.Connection.Name}
		if e.Operation == "" || there[via] || namespace != "" && via.Namespace != namespace {
			continue
		}
		via.Gone = true
		one := stranding{Object: e.ID.String(), Operation: string(e.Operation), Connection: via}
		if len(e.Owners) > 0 {
			one.Owner = e.Owners[0].String()
		}
		out = append(out, one)
	}
	return out
}

func tellStranded(p paper, strandings []stranding) {
	for _, s := range strandings {
		title := fmt.Sprintf("%s of %s stands still without a connection", s.Operation, s.Object)
		p.printf("\n%s\n  %s %s/%s, through which it ran, is gone\n", p.paint(cell{title, red}),
			strings.TrimSuffix(s.Connection.Kind, "Connection"), s.Connection.Namespace, s.Connection.Name)
		p.printf("  to go on       apply the connection again, by the same name\n")
	}
}
