package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

type forgetFlags struct {
	answerFlags
	everything bool
	home       string
}

func (a *app) forget() *cobra.Command {
	var f forgetFlags
	command := &cobra.Command{
		Use:   "forget NAME... | --all",
		Short: "Strike what was left behind off the list; it stays on the broker",
		Long: "Strike what was left behind off the list. It stays on the broker, as it is, and nobody owns it any more.\n\n" +
			"NAME is an object or a former owner as `status --left-behind` writes them, or a resource whose deletion\n" +
			"is held. Everything else that the former owner left behind is forgotten with it: a claim stays whole.\n" +
			"A custom resource that is applied later takes the object over under its adoptionPolicy.",
		Example: "  " + a.verb("forget 'queue shop/order.process' -n orders") + "\n  " + a.verb("forget 'Queue orders/order-process' -n orders --yes") +
			"\n  " + a.verb("forget --all -n orders"),
		RunE: func(command *cobra.Command, names []string) error {
			if (len(names) == 0) != f.everything {
				return errors.New("name what is to be forgotten, as `status --left-behind` writes it, or say --all")
			}
			c, err := a.connect(a)
			if err != nil {
				return err
			}
			return a.strikeOff(command.Context(), c, names, f)
		},
	}
	f.add(command)
	command.Flags().BoolVar(&f.everything, "all", false, "all that was left behind through the connections of the namespace")
	addHome(command.Flags(), &f.home)
	return command
}

// strikeOff finds what is meant, asks, and has the controller do it.
func (a *app) strikeOff(ctx context.Context, c *cluster, names []string, f forgetFlags) error {
	found, connections, err := c.leftBehind(ctx, c.namespace, f.home)
	if err != nil {
		return err
	}
	found.stays = append(found.stays, heldNamed(connections, names)...)
	chosen, owners, err := choose(found, names, f.everything)
	if err != nil {
		return fmt.Errorf("%w; see %s", err, a.verb("status --left-behind -n", c.namespace))
	}
	if len(chosen) == 0 {
		fmt.Fprintf(a.Err, "Nothing was left behind in namespace %s.\n", c.namespace)
		return nil
	}
	p := a.page()
	p.table([]string{"OBJECT", "FORMER OWNER", "SINCE", "CONNECTION", "WHY IT STAYS"}, rowsOf(chosen, false))
	p.printf("\nThey stay on the broker, and are nobody's from then on.\n")
	if err := a.confirm(ctx, f.yes, "Forget "+objects(len(chosen))+"?"); err != nil {
		return err
	}
	mark := time.Now().UTC().Format(time.RFC3339Nano)
	for _, connection := range connections {
		if wanted := owners[nameOf(connection)]; len(wanted) > 0 {
			if err := c.annotate(ctx, connection, v1alpha1.AnnotationForgetLeftBehind, mark+"\n"+strings.Join(wanted, "\n")); err != nil {
				return err
			}
		}
	}
	return a.awaitForgetting(ctx, c, connections, owners, mark, f)
}

func (a *app) awaitForgetting(ctx context.Context, c *cluster, connections []v1alpha1.Connection, owners map[connectionName][]string, mark string, f forgetFlags) error {
	if f.limit == 0 {
		fmt.Fprintln(a.Out, "Asked the controller to forget them.")
		return nil
	}
	for _, connection := range connections {
		if len(owners[nameOf(connection)]) == 0 {
			continue
		}
		_, answered, err := c.await(ctx, connection, f.limit, func(s v1alpha1.ConnectionStatus) bool { return s.LastHandledForget == mark })
		if err != nil {
			return err
		}
		if !answered {
			return fmt.Errorf("the controller has not answered for %s within %s. The annotation is set, and is heeded when it does: see that it runs, and that the connection works", title(connection), f.limit)
		}
	}
	fmt.Fprintln(a.Out, "Forgotten.")
	return nil
}

// heldNamed lists the resources whose deletion is held and that are named: they
// are forgotten by name only, never as part of all.
func heldNamed(connections []v1alpha1.Connection, names []string) []stay {
	var out []stay
	for _, connection := range connections {
		if held := connection.GetStatus().HeldDeletions; held != nil {
			for _, owner := range held.Owners {
				if slices.Contains(names, owner) {
					out = append(out, stay{Object: "all that it declared", Owner: owner, Reason: "its deletion is held", Connection: nameOf(connection)})
				}
			}
		}
	}
	return out
}

// choose finds the former owners that names stand for, and all that they left
// behind, by connection.
func choose(found leavings, names []string, everything bool) (chosen []stay, owners map[connectionName][]string, err error) {
	owners = map[connectionName][]string{}
	known := map[string]bool{}
	for _, s := range found.stays {
		if s.Connection.Gone {
			if slices.Contains(names, s.Object) || slices.Contains(names, s.Owner) {
				return nil, nil, fmt.Errorf("%s was left behind through connection %s, which is gone: create it again first", s.Object, s.Connection.Name)
			}
			continue
		}
		known[s.Object], known[s.Owner] = true, true
		if s.Owner == "" || slices.Contains(owners[s.Connection], s.Owner) {
			continue
		}
		if everything || slices.Contains(names, s.Object) || slices.Contains(names, s.Owner) {
			owners[s.Connection] = append(owners[s.Connection], s.Owner)
		}
	}
	for _, name := range names {
		if !known[name] {
			return nil, nil, fmt.Errorf("nothing called %q was left behind or is held", name)
		}
	}
	for _, s := range found.stays {
		if slices.Contains(owners[s.Connection], s.Owner) {
			chosen = append(chosen, s)
		}
	}
	return chosen, owners, nil
}
