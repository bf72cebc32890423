package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrener-dev/warrener/internal/lint"
	"github.com/warrener-dev/warrener/internal/manifest"
)

type lintFlags struct {
	source  manifest.Source
	options lint.Options
	failOn  string
	output  string
	rules   bool
}

// Values of --fail-on and -o of lint.
const (
	never    = "never"
	sarifOut = "sarif"
)

func (a *app) lint() *cobra.Command {
	var f lintFlags
	command := &cobra.Command{
		Use:   "lint -f FILE... | -k FOLDER",
		Short: "Find what will surprise people in manifests, offline",
		Long: "Find what Kubernetes and the brokers accept, and what will surprise people later: messages that are\n" +
			"dropped, settings that nobody reads, references to nothing. It reads manifests and asks no cluster and no\n" +
			"broker. " + lint.DocumentationURL + " explains each rule, and how to silence it with a reason.",
		Example: "  warrener lint -f topology/ -R\n  kubectl kustomize overlays/prod | warrener lint -f -\n  warrener lint -k overlays/prod -o sarif > lint.sarif",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if f.rules {
				return a.listRules(f.output)
			}
			return a.runLint(command, f)
		},
	}
	flags := command.Flags()
	addSource(flags, &f.source)
	flags.StringVar(&f.options.RabbitMQVersion, "rabbitmq-version", "", "the RabbitMQ that is used, such as 4.0; the newest unless given")
	flags.StringSliceVar(&f.options.Without, "without", nil, "ids of rules that are left out")
	flags.StringVar(&f.failOn, "fail-on", string(lint.Warning), "end with 2 if there is something as bad as this, or worse: error, warning, note or never")
	flags.StringVarP(&f.output, "output", "o", "", "json, yaml or sarif, for programs")
	flags.BoolVar(&f.rules, "rules", false, "list the rules")
	return command
}

func (a *app) runLint(command *cobra.Command, f lintFlags) error {
	if !slices.Contains([]string{"", "json", "yaml", sarifOut}, f.output) {
		return fmt.Errorf("-o %s: json, yaml or sarif; without it the output is for people", f.output)
	}
	if !slices.Contains([]string{string(lint.Error), string(lint.Warning), string(lint.Note), never}, f.failOn) {
		return fmt.Errorf("--fail-on %s: error, warning, note or never", f.failOn)
	}
	if !isVersion(f.options.RabbitMQVersion) {
		return fmt.Errorf("--rabbitmq-version %s: write a version such as 4.0", f.options.RabbitMQVersion)
	}
	set, err := a.readManifests(command.Context(), f.source)
	if err != nil {
		return err
	}
	report, err := lint.Check(set, f.options)
	if err != nil {
		return err
	}
	if len(set.Items)+len(set.Others)+len(report.Findings) == 0 {
		return errors.New("there is nothing to lint: no file holds an object of Kubernetes; -R looks into the folders of a folder")
	}
	if err := a.printLint(report, f.output); err != nil {
		return err
	}
	if f.failOn != never && report.Fails(lint.Severity(f.failOn)) {
		return errFound
	}
	return nil
}

// isVersion tells whether a version can be compared; none is the newest.
func isVersion(version string) bool {
	major, _, _ := strings.Cut(version, ".")
	_, err := strconv.Atoi(major)
	return version == "" || err == nil
}

func (a *app) printLint(report *lint.Report, output string) error {
	switch output {
	case sarifOut:
		return lint.WriteSARIF(a.Out, report)
	case "":
		a.tellLint(report)
		return nil
	}
	f := format(output)
	return f.print(a.Out, map[string]any{
		"findings": report.Findings,
		"summary": map[string]int{
			"objects": report.Objects, "errors": report.Count(lint.Error), "warnings": report.Count(lint.Warning),
			"notes": report.Count(lint.Note), "silenced": report.Silenced(),
		},
	})
}

// tellLint prints a finding a line, so that editors and grep understand it.
func (a *app) tellLint(report *lint.Report) {
	p := a.page()
	for i := range report.Findings {
		f := &report.Findings[i]
		if f.Silenced != "" {
			continue
		}
		where := f.Where()
		if where != "" {
			where += ": "
		}
		position := manifest.Position{File: f.File, Line: f.Line}
		p.printf("%s: %s: %s%s [%s]\n", position, p.paint(cell{string(f.Severity), severityColour(f.Severity)}), where, f.Message, f.Rule)
	}
	var counts []string
	for _, s := range []lint.Severity{lint.Error, lint.Warning, lint.Note} {
		if n := report.Count(s); n > 0 {
			counts = append(counts, several(n, string(s)))
		}
	}
	summary := "nothing found"
	if len(counts) > 0 {
		p.printf("\n")
		summary = strings.Join(counts, ", ")
	}
	summary += " in " + objects(report.Objects)
	if n := report.Silenced(); n > 0 {
		summary += fmt.Sprintf("; %d silenced", n)
	}
	p.printf("%s\n", summary)
}

func severityColour(s lint.Severity) colour {
	switch s {
	case lint.Error:
		return red
	case lint.Warning:
		return yellow
	}
	return plain
}

// listRules tells what lint looks for.
func (a *app) listRules(output string) error {
	type row struct {
		ID       string        `json:"id"`
		Severity lint.Severity `json:"severity"`
		Summary  string        `json:"summary"`
		Reason   string        `json:"reason"`
		URL      string        `json:"url"`
	}
	list := make([]row, len(lint.Rules))
	var rows [][]cell
	for i := range lint.Rules {
		r := &lint.Rules[i]
		list[i] = row{r.ID, r.Severity, r.Summary, r.Reason, r.URL()}
		rows = append(rows, []cell{{r.ID, plain}, {string(r.Severity), severityColour(r.Severity)}, {r.Summary, plain}})
	}
	switch output {
	case "":
		a.page().table([]string{"RULE", "SEVERITY", "WHAT IT FINDS"}, rows)
		return nil
	case "json", "yaml":
		f := format(output)
		return f.print(a.Out, map[string]any{"rules": list})
	}
	return fmt.Errorf("-o %s: json or yaml lists the rules; without it the output is for people", output)
}
