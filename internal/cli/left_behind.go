package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// stay is one broker object that was left behind.
type stay struct {
	Object string     `json:"object"`
	Owner  string     `json:"owner,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
	Reason string     `json:"reason"`
	// Connection is kind, namespace and name; it may be gone.
	Connection connectionName `json:"connection"`
}

// cause is the object of the same claim for whose sake this one stays; "" if it
// has a reason of its own.
func (s stay) cause() string {
	cause, _, found := strings.Cut(s.Reason, " stays: ")
	if !found {
		return ""
	}
	return cause
}

// why is the reason for people: what stays for another's sake says so in brief.
func (s stay) why() string {
	if cause := s.cause(); cause != "" {
		return "goes or stays with " + cause
	}
	return s.Reason
}

type connectionName struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Gone says that the connection does not exist any more.
	Gone bool `json:"gone,omitempty"`
}

// leavings are all that were found, and what could not be.
type leavings struct {
	stays []stay
	// unnamed counts what a status knows of and does not name.
	unnamed int
	// unread says why the inventory could not be read, if it was needed.
	unread error
}

const defaultHome = "warrener-system"

func addHome(flags *pflag.FlagSet, home *string) {
	flags.StringVar(home, "controller-namespace", defaultHome, "namespace of the controller and its inventory, which is read where a status does not name everything")
}

// leftBehind gathers what was left behind through the connections of a
// namespace, or of all (""). A status names the first fifty; the inventory, if
// one may read it, names them all, and those of connections that are gone.
func (c *cluster) leftBehind(ctx context.Context, namespace, home string) (leavings, []v1alpha1.Connection, error) {
	connections, err := c.connections(ctx, namespace)
	if err != nil {
		return leavings{}, nil, err
	}
	var out leavings
	complete := namespace != ""
	for _, connection := range connections {
		status := connection.GetStatus()
		out.stays = append(out.stays, staysOf(connection)...)
		missing := int(status.LeftBehindCount) - len(status.LeftBehind)
		out.unnamed += missing
		complete = complete && missing == 0
	}
	if !complete {
		entries, err := c.books(ctx, home)
		if err != nil {
			out.unread = err
		} else {
			out.add(entries, connections, namespace)
		}
	}
	slices.SortStableFunc(out.stays, func(x, y stay) int {
		return cmp.Or(
			strings.Compare(x.Connection.Namespace, y.Connection.Namespace), strings.Compare(x.Connection.Name, y.Connection.Name),
			strings.Compare(x.Owner, y.Owner), strings.Compare(x.cause(), y.cause()), strings.Compare(x.Object, y.Object),
		)
	})
	return out, connections, nil
}

func nameOf(connection v1alpha1.Connection) connectionName {
	return connectionName{Kind: connection.KindName(), Namespace: connection.GetNamespace(), Name: connection.GetName()}
}

func staysOf(connection v1alpha1.Connection) []stay {
	var out []stay
	for _, entry := range connection.GetStatus().LeftBehind {
		s := stay{Object: entry.Object, Owner: entry.Owner, Reason: entry.Reason, Connection: nameOf(connection)}
		if entry.Since != nil {
			since := entry.Since.UTC()
			s.Since = &since
		}
		out = append(out, s)
	}
	return out
}

// add takes from the inventory what the statuses do not name.
func (l *leavings) add(entries []topology.Entry, connections []v1alpha1.Connection, namespace string) {
	type name struct{ object, kind, namespace, name string }
	known := map[name]bool{}
	for _, s := range l.stays {
		known[name{s.Object, s.Connection.Kind, s.Connection.Namespace, s.Connection.Name}] = true
	}
	there := map[connectionName]bool{}
	for _, connection := range connections {
		there[nameOf(connection)] = true
	}
	for _, e := range entries {
		via := connectionName{Kind: e.Connection.Kind, Namespace: e.Connection.Namespace, Name: e.Connection.Name}
		if e.LeftBehind == "" || namespace != "" && via.Namespace != namespace || known[name{e.ID.String(), via.Kind, via.Namespace, via.Name}] {
			continue
		}
		s := stay{Object: e.ID.String(), Reason: e.LeftBehind, Connection: via}
		if there[via] {
			l.unnamed--
		} else {
			s.Connection.Gone = true
		}
		if len(e.Owners) > 0 {
			s.Owner = e.Owners[0].String()
		}
		if !e.Since.IsZero() {
			s.Since = &e.Since
		}
		l.stays = append(l.stays, s)
	}
	l.unnamed = max(l.unnamed, 0)
}

func (a *app) showLeftBehind(ctx context.Context, c *cluster, f statusFlags) error {
	found, _, err := c.leftBehind(ctx, c.scope(f.all), f.home)
	if err != nil {
		return err
	}
	if f.output != "" {
		if err := f.output.print(a.Out, map[string]any{"leftBehind": append([]stay{}, found.stays...), "unnamed": found.unnamed}); err != nil {
			return err
		}
	} else {
		a.tellLeftBehind(c, found, f)
	}
	if f.exitCode && len(found.stays)+found.unnamed > 0 {
		return errFound
	}
	return nil
}

func (a *app) tellLeftBehind(c *cluster, found leavings, f statusFlags) {
	if len(found.stays) == 0 {
		where := "in namespace " + c.namespace
		if f.all {
			where = "anywhere"
		}
		fmt.Fprintf(a.Err, "Nothing was left behind %s.\n", where)
	} else {
		p := a.page()
		p.table([]string{"OBJECT", "FORMER OWNER", "SINCE", "CONNECTION", "WHY IT STAYS"}, rowsOf(found.stays, f.all))
		first := found.stays[0]
		p.printf("\n  to take one back      apply its custom resource again\n")
		p.printf("  to have it deleted    make it unused: the controller looks again at each drift check\n")
		p.printf("  to strike it off the list, and leave it on the broker\n")
		p.printf("                        %s\n", a.verb("forget", quoted(cmp.Or(first.Owner, first.Object)), "-n", first.Connection.Namespace))
	}
	if found.unnamed > 0 {
		fmt.Fprintf(a.Err, "\nNot named here: %s. The inventory in namespace %s lists all.\n", several(found.unnamed, "more object"), f.home)
	}
	if found.unread != nil {
		fmt.Fprintf(a.Err, "\nWhat connections left behind that are gone themselves is not shown: %v\n", found.unread)
	}
}

func rowsOf(stays []stay, namespaces bool) [][]cell {
	now := time.Now()
	var rows [][]cell
	for _, s := range stays {
		via := cell{s.Connection.Name, plain}
		if namespaces {
			via.text = s.Connection.Namespace + "/" + via.text
		}
		if s.Connection.Gone {
			via = cell{via.text + " (gone)", yellow}
		}
		rows = append(rows, []cell{{s.Object, plain}, {cmp.Or(s.Owner, "-"), plain}, {age(s.Since, now), plain}, via, {s.why(), plain}})
	}
	return rows
}

// quoted is a name as a shell takes it.
func quoted(name string) string { return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'" }
