package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// answerLimit is how long the controller's answer is waited for: a few passes.
const answerLimit = 30 * time.Second

type answerFlags struct {
	yes   bool
	limit time.Duration
}

func (f *answerFlags) add(command *cobra.Command) {
	command.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	command.Flags().DurationVar(&f.limit, "timeout", answerLimit, "how long to wait for the controller; 0 does not wait")
}

func (a *app) allowDeletes() *cobra.Command {
	var f answerFlags
	command := &cobra.Command{
		Use:   "allow-deletes CONNECTION",
		Short: "Let deletions go that are held because unusually many went at once",
		Long: "Let the deletions go that a connection holds because unusually many custom resources went at once.\n" +
			"It shows them and asks. What is held later needs another answer. To keep what is on the broker, do not\n" +
			"use this: apply the custom resources again.",
		Example: "  " + a.verb("allow-deletes shop -n orders"),
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := a.connect(a)
			if err != nil {
				return err
			}
			connection, err := c.connection(command.Context(), args[0])
			if err != nil {
				return err
			}
			return a.allow(command.Context(), c, connection, f)
		},
	}
	f.add(command)
	return command
}

func (a *app) allow(ctx context.Context, c *cluster, connection v1alpha1.Connection, f answerFlags) error {
	held := connection.GetStatus().HeldDeletions
	if held == nil {
		fmt.Fprintf(a.Err, "%s holds no deletions.\n", title(connection))
		return nil
	}
	p := a.page()
	p.printf("%s in namespace %s holds %s (window %s), of\n\n", title(connection), connection.GetNamespace(), deletions(int(held.Count)), held.Window)
	for _, owner := range held.Owners {
		p.printf("  %s\n", owner)
	}
	if rest := int(held.Count) - len(held.Owners); rest > 0 {
		p.printf("  and %d more\n", rest)
	}
	p.printf("\nEach goes by its deletionPolicy: DeleteIfUnused leaves behind what holds messages or has consumers, Delete does not.\n")
	if err := a.confirm(ctx, f.yes, fmt.Sprintf("Delete what %s declared from the broker?", several(int(held.Count), "custom resource"))); err != nil {
		return err
	}
	if err := c.annotate(ctx, connection, v1alpha1.AnnotationAllowDeletes, held.Window); err != nil {
		return err
	}
	if f.limit == 0 {
		p.printf("Allowed.\n")
		return nil
	}
	status, answered, err := c.await(ctx, connection, f.limit, func(s v1alpha1.ConnectionStatus) bool {
		return s.HeldDeletions == nil || len(held.Owners) > 0 && (len(s.HeldDeletions.Owners) == 0 || s.HeldDeletions.Owners[0] != held.Owners[0])
	})
	switch {
	case err != nil:
		return err
	case !answered:
		return fmt.Errorf("the controller has not answered within %s. The annotation is set, and is heeded when it does: see that it runs, and that the connection works", f.limit)
	case status.HeldDeletions != nil:
		p.printf("Allowed. %s were held in the meantime, and wait for another answer.\n", deletions(int(status.HeldDeletions.Count)))
	default:
		p.printf("Allowed; nothing is held any more.\n")
	}
	if status.LeftBehindCount > 0 {
		p.printf("%s stay on the broker: %s\n", objects(int(status.LeftBehindCount)), a.verb("status --left-behind -n", connection.GetNamespace()))
	}
	return nil
}
