package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// Exit codes, the same for every verb; docs/cli.md tells people.
const (
	// ExitDone: it is done, or shown.
	ExitDone = 0
	// ExitFailed: it failed, and stderr says why.
	ExitFailed = 1
	// ExitFound: lint has found something; with --exit-code, something waits for a
	// person.
	ExitFound = 2
	// ExitDeclined: it was not confirmed, and nothing was done.
	ExitDeclined = 3
)

// Streams are where the command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// errFound and errDeclined end a verb with an exit code of their own. What there
// is to say has been said.
var (
	errFound    = errors.New("something waits for a person")
	errDeclined = errors.New("not confirmed: nothing was done")
)

// interrupted ends a verb that knows what was done until it was interrupted.
type interrupted struct{ message string }

func (e *interrupted) Error() string { return "interrupted: " + e.message }

func isInterrupted(err error) bool {
	_, is := errors.AsType[*interrupted](err)
	return is
}

// Run carries out a command line, the program's name first, and returns the exit
// code.
func Run(ctx context.Context, args []string, streams Streams) int {
	program := "warrener"
	if strings.HasPrefix(filepath.Base(args[0]), "kubectl-") {
		program = "kubectl warrener"
	}
	return (&app{Streams: streams, program: program}).run(ctx, args[1:], connect)
}

// run carries out a command line in a cluster that connect reaches.
func (a *app) run(ctx context.Context, args []string, connect func(*app) (*cluster, error)) int {
	a.flags, a.connect = genericclioptions.NewConfigFlags(true), connect
	root := a.command()
	root.SetArgs(args)
	ended := a.sayInterrupted(ctx)
	err := root.ExecuteContext(ctx)
	ended()
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, errFound):
		return ExitFound
	case errors.Is(err, errDeclined):
		fmt.Fprintln(a.Err, err)
		return ExitDeclined
	case isInterrupted(err):
		fmt.Fprintf(a.Err, "%s: %v\n", a.program, err)
	case errors.Is(ctx.Err(), context.Canceled):
		fmt.Fprintln(a.Err, a.program+": interrupted. What was asked of the controller before goes on")
	default:
		fmt.Fprintf(a.Err, "%s: %v\n", a.program, err)
	}
	return ExitFailed
}

// patience is how long a verb may take to end before it says that it has heard.
const patience = time.Second

// sayInterrupted has people know that an interrupt was heard, unless the verb
// ends right away. What it returns is called at the end.
func (a *app) sayInterrupted(ctx context.Context) (ended func()) {
	over := make(chan struct{})
	var telling sync.WaitGroup
	heard := context.AfterFunc(ctx, func() {
		defer telling.Done()
		select {
		case <-over:
		case <-time.After(patience):
			fmt.Fprintf(a.Err, "%s: interrupted: what is being written is waited for. A second Ctrl-C ends at once\n", a.program)
		}
	})
	telling.Add(1)
	return func() {
		close(over)
		if heard() {
			telling.Done()
		}
		telling.Wait()
	}
}

// app is what the verbs share.
type app struct {
	Streams
	program string
	flags   *genericclioptions.ConfigFlags
	// connect makes the client; tests replace it.
	connect func(*app) (*cluster, error)
	// tested says that connect needs no kubeconfig.
	tested bool
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "warrener",
		Short: "Look after the messaging topology that custom resources declare",
		Long: "Look after the messaging topology that custom resources declare: what is wrong with it, what a change would\n" +
			"do before it is made, where a message would go, what Warrener holds back and why, and how to answer it.",
		SilenceUsage: true, SilenceErrors: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: a.program},
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	a.flags.AddFlags(root.PersistentFlags())
	for _, rare := range rareFlags {
		if err := root.PersistentFlags().MarkHidden(rare); err != nil {
			panic(err) // the flag is not there, which a test finds
		}
	}
	root.AddCommand(
		a.importTopology(), a.lint(), a.plan(), a.apply(), a.trace(), a.graph(),
		a.status(), a.allowDeletes(), a.forget(), a.approve(),
	)
	return root
}

// rareFlags of kubectl work and are not listed: a help text is for what one is
// likely to look for.
var rareFlags = []string{
	"as", "as-group", "as-uid", "as-user-extra", "cache-dir", "certificate-authority", "client-certificate", "client-key", "cluster",
	"disable-compression", "insecure-skip-tls-verify", "proxy-url", "server", "tls-server-name", "token", "user",
}

// verb is a verb's name as a person types it.
func (a *app) verb(words ...string) string {
	return strings.Join(append([]string{a.program}, words...), " ")
}
