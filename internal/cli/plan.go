package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrener-dev/warrener/internal/preview"
)

// planLimit is how long a plan may take unless somebody says otherwise: reading
// the largest brokers takes seconds.
const planLimit = 2 * time.Minute

// planFormat is the flag -o of plan.
type planFormat string

// String implements pflag.Value.
func (f *planFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (*planFormat) Type() string { return "json|yaml|markdown" }

// Set implements pflag.Value.
func (f *planFormat) Set(value string) error {
	switch value {
	case "json", "yaml", "markdown":
		*f = planFormat(value)
		return nil
	}
	return errors.New("json, yaml or markdown; without it the output is for people")
}

func (a *app) plan() *cobra.Command {
	var f planFlags
	var o overlayFlags
	var output planFormat
	command := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Show what would change on the brokers",
		Long: "Show what would change on the brokers if the manifests were applied: per object and field what the broker\n" +
			"has and what is declared, and what it puts at risk. Nothing is changed.\n\n" +
			"With a kubeconfig the manifests are laid over the custom resources of the cluster; without one, or with\n" +
			"--no-cluster, connections and Secrets come from the manifests, the flags and the environment.\n\n" +
			"It ends with 0 if there is nothing to do, with 2 if there are changes, with 1 if it failed or if something\n" +
			"that is declared is invalid.",
		Example: "  " + a.verb("plan -f topology/") + "\n  " + a.verb("plan -k overlays/production -o markdown"),
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(command.Context(), f.timeout)
			defer cancel()
			r, err := a.rehearsal(ctx, f, o)
			if err != nil {
				return inTime(ctx, err, f.timeout)
			}
			defer r.close()
			report, err := r.report(ctx, time.Now())
			if err != nil {
				return inTime(ctx, err, f.timeout)
			}
			if err := a.showPlan(report, output); err != nil {
				return err
			}
			switch {
			case report.Failed():
				return errors.New("some of what is declared is invalid, or the broker refuses it")
			case report.Changes():
				return errFound
			}
			return nil
		},
	}
	f.add(command.Flags(), planLimit)
	o.add(command.Flags())
	command.Flags().VarP(&output, "output", "o", "json or yaml, for programs; markdown, for a comment on a pull request")
	return command
}

// inTime says that time ran out, or that somebody interrupted, where that is what
// an error of a reader means.
func inTime(ctx context.Context, err error, limit time.Duration) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &interrupted{"nothing was changed"}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("not done within %s (--timeout gives it more): %w", limit, err)
	}
	return err
}

// rehearsal reads the manifests and connects to what they concern.
func (a *app) rehearsal(ctx context.Context, f planFlags, o overlayFlags) (*rehearsal, error) {
	set, err := a.load(ctx, f.source)
	if err != nil {
		return nil, err
	}
	if o.offline || !a.hasCluster() {
		if o.prune {
			return nil, errors.New("--prune shows what would be deleted, and only a cluster knows that: give a kubeconfig")
		}
		return f.rehearse(ctx, set)
	}
	return a.overlay(ctx, f, o, set)
}

func (a *app) showPlan(report preview.Report, output planFormat) error {
	switch output {
	case "":
		preview.Text(a.Out, report, a.page().action)
		return nil
	case "markdown":
		_, err := fmt.Fprint(a.Out, preview.Markdown(report))
		return err
	}
	other := format(output)
	return other.print(a.Out, struct {
		preview.Report
		Summary map[preview.Action]int `json:"summary"`
	}{report, report.Counts()})
}

// action paints the word of an action.
func (p paper) action(action preview.Action, text string) string {
	return p.paint(cell{text, map[preview.Action]colour{
		preview.Create: green, preview.Change: yellow, preview.Replace: yellow, preview.Delete: red,
		preview.Forbidden: red, preview.Invalid: red, preview.Held: bold,
	}[action]})
}
