package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrener-dev/warrener/internal/preview"
)

// applyLimit is how long an apply waits unless somebody says otherwise: for a
// queue that is replaced while it is in use, some minutes.
const applyLimit = 10 * time.Minute

func (a *app) apply() *cobra.Command {
	var f planFlags
	var yes bool
	command := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the brokers as the manifests declare, without a cluster",
		Long: "Show what would change on the brokers, ask, and do it: with the engine of the controller, and without any\n" +
			"Kubernetes cluster. Connections and Secrets come from the manifests, the flags and the environment. What\n" +
			"exists and is declared counts as yours; nothing is deleted, since nothing proves what else is.\n\n" +
			"Where a controller looks after the same objects, change the custom resources instead: it would undo this.\n\n" +
			"It ends with 0 if all is as declared, with 1 if something is not, with 3 if it was not confirmed.",
		Example: "  " + a.verb("apply -f topology/") + "\n  " + a.verb("apply -k overlays/ci --yes --rabbitmq-url http://localhost:15672"),
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return a.carryOut(command.Context(), f, yes)
		},
	}
	f.add(command.Flags(), applyLimit)
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return command
}

func (a *app) carryOut(ctx context.Context, f planFlags, yes bool) error {
	set, err := a.load(ctx, f.source)
	if err != nil {
		return err
	}
	reading, done := context.WithTimeout(ctx, min(f.timeout, planLimit))
	defer done()
	r, err := f.rehearse(reading, set)
	if err != nil {
		return inTime(reading, err, f.timeout)
	}
	defer r.close()
	report, err := r.report(reading, time.Now())
	if err != nil {
		return inTime(reading, err, f.timeout)
	}
	preview.Text(a.Out, report, a.page().action)
	if !report.Changes() {
		return nil
	}
	if !does(report) {
		return errors.New("nothing of this can be done: the plan says why")
	}
	fmt.Fprintln(a.Out)
	if err := a.confirm(ctx, yes, "Do this?"); err != nil {
		return err
	}
	running, stop := context.WithTimeout(ctx, f.timeout) // from the answer on
	defer stop()
	e := &execution{out: a.page(), verdicts: map[string]verdict{}}
	for _, p := range r.parts {
		if err := e.run(running, p); err != nil {
			e.failures = append(e.failures, fmt.Sprintf("%s: %v", p.key, err))
		}
		if running.Err() != nil {
			break
		}
	}
	return e.conclude(running, r, f.timeout)
}

// does tells whether a plan has anything that can be done.
func does(report preview.Report) bool {
	counts := report.Counts()
	return counts[preview.Create]+counts[preview.Change]+counts[preview.Replace] > 0
}
