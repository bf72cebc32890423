package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrener-dev/warrener/internal/importer"
)

// importLimit is how long an import may take unless somebody says otherwise.
const importLimit = 2 * time.Minute

type importFlags struct {
	brokers    brokerFlags
	files      []string
	recursive  bool
	host       string
	topics     string
	connection string
	omit       bool
	folder     string
	timeout    time.Duration
}

func (a *app) importTopology() *cobra.Command {
	var f importFlags
	command := &cobra.Command{
		Use:   "import (--rabbitmq-url URL | --kafka-brokers SERVERS | -f FILE)",
		Short: "Make manifests of what a broker has",
		Long: "Make manifests of what a broker has, of a definitions file that RabbitMQ exported, or of the custom\n" +
			"resources of RabbitMQ's messaging topology operator and of Strimzi. Nothing is changed anywhere.\n\n" +
			"Bindings stand in their queue; dead-letter and retry objects become the fields deadLetter and retry where\n" +
			"these mean exactly them; defaults and objects of the broker itself are left out. A plan of the result is\n" +
			"empty. What no manifest can say is listed in comments at the end.",
		Example: "  " + a.verb("import --rabbitmq-url http://127.0.0.1:15672 --virtual-host shop") + "\n" +
			"  " + a.verb("import -f definitions.json --output-dir topology/") + "\n" +
			"  kubectl get queues.rabbitmq.com,exchanges.rabbitmq.com,bindings.rabbitmq.com -o yaml | " + a.verb("import -f -"),
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(command.Context(), f.timeout)
			defer cancel()
			sources, err := a.importSources(ctx, &f)
			if err != nil {
				return inTime(ctx, err, f.timeout)
			}
			return a.importAll(sources, &f)
		},
	}
	flags := command.Flags()
	flags.StringSliceVarP(&f.files, "filename", "f", nil, "a definitions file, or files and folders with custom resources of other operators;\n- is standard input")
	flags.BoolVarP(&f.recursive, "recursive", "R", false, "take the folders in a folder, too")
	flags.StringVar(&f.host, "virtual-host", "", "import this virtual host alone; with a definitions file of one virtual host, its name")
	flags.StringVar(&f.topics, "topics", "", "import the topics alone whose names match this regular expression")
	flags.StringVar(&f.connection, "connection", "", "the name of the connection that the manifests use")
	flags.BoolVar(&f.omit, "without-connection", false, "leave the connection's own manifest out: it is there already")
	flags.StringVar(&f.folder, "output-dir", "", "write files into this folder, one for each virtual host, instead of standard output")
	flags.DurationVar(&f.timeout, "timeout", importLimit, "how long it may take")
	f.brokers.add(flags)
	return command
}

// importSources reads what is to be imported.
func (a *app) importSources(ctx context.Context, f *importFlags) ([]*importer.Source, error) {
	var sources []*importer.Source
	var err error
	switch {
	case len(f.files) > 0 && f.brokers.given():
		return nil, errors.New("files and brokers in one go: import one after the other")
	case len(f.files) > 0:
		sources, err = a.importFiles(f)
	case f.brokers.given():
		sources, err = importBrokers(ctx, f)
	default:
		return nil, errors.New("nothing to import: name a broker with --rabbitmq-url or --kafka-brokers, or files with -f")
	}
	if err != nil {
		return nil, err
	}
	if f.connection != "" && len(sources) > 1 {
		return nil, fmt.Errorf("one name for %d connections: import one cluster at a time, or leave --connection out", len(sources))
	}
	for _, source := range sources {
		c := &source.Connection
		c.Omit = f.omit
		if f.connection != "" {
			c.Name = f.connection
		}
		if f.host != "" {
			c.VirtualHost = f.host
		}
	}
	return sources, nil
}

func (a *app) importFiles(f *importFlags) ([]*importer.Source, error) {
	paths, err := f.paths()
	if err != nil {
		return nil, err
	}
	var resources []string
	var definitions []*importer.Source
	for _, path := range paths {
		text, err := a.read(path)
		if err != nil {
			return nil, err
		}
		if !importer.IsDefinitions(text) {
			resources = append(resources, string(text))
			continue
		}
		source, err := importer.Definitions(text, f.host)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		source.Origin += " (" + filepath.Base(path) + ")"
		definitions = append(definitions, source)
	}
	switch {
	case len(definitions) > 1:
		return nil, errors.New("several definitions files: import one broker at a time")
	case len(definitions) == 1 && len(resources) > 0:
		return nil, errors.New("a definitions file and other files: import one after the other")
	case len(definitions) == 1:
		return definitions, nil
	}
	return importer.Resources([]byte(strings.Join(resources, "\n---\n")), a.namespace())
}

func (a *app) read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(a.In)
	}
	return os.ReadFile(path)
}

// paths are the files that the flags name, those in folders included.
func (f *importFlags) paths() ([]string, error) {
	var out []string
	for _, name := range f.files {
		info, err := os.Stat(name)
		if name == "-" || err == nil && !info.IsDir() {
			out = append(out, name)
			continue
		}
		if err != nil {
			return nil, err
		}
		err = filepath.WalkDir(name, func(path string, entry os.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && path != name && !f.recursive:
				return filepath.SkipDir
			case !entry.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
				out = append(out, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// importAll prints or writes what the sources become.
func (a *app) importAll(sources []*importer.Source, f *importFlags) error {
	options := importer.Options{VirtualHost: f.host, Namespace: a.namespace()}
	if f.topics != "" {
		pattern, err := regexp.Compile(f.topics)
		if err != nil {
			return fmt.Errorf("--topics: %w", err)
		}
		options.Topics = pattern
	}
	var results []*importer.Result
	var wrong []string
	for _, source := range sources {
		result := importer.Import(source, options)
		results = append(results, result)
		if f.host != "" && len(result.Groups) == 0 {
			return fmt.Errorf("there is no virtual host %q", f.host)
		}
		left := importer.Remaining(result, source, options)
		for _, id := range importer.Unaccounted(result, source, options) {
			left = append(left, id.String()+" is not in the manifests")
		}
		wrong = append(wrong, left...)
	}
	if err := a.writeImport(results, f.folder); err != nil {
		return err
	}
	a.summarize(results, f.folder)
	if len(wrong) > 0 {
		return fmt.Errorf("the manifests do not say what there is, please report this as a bug:\n  %s", strings.Join(wrong, "\n  "))
	}
	return nil
}

func (a *app) writeImport(results []*importer.Result, folder string) error {
	if folder == "" {
		text, err := importer.Text(results)
		if err == nil {
			_, err = io.WriteString(a.Out, text)
		}
		return err
	}
	files, err := importer.Files(results)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // manifests are for everybody to read
		return err
	}
	for _, file := range files {
		if err := mayReplace(filepath.Join(folder, file.Name)); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(folder, file.Name), []byte(file.Text), 0o644); err != nil { //nolint:gosec // the same
			return err
		}
	}
	return nil
}

// mayReplace refuses to overwrite what no import has written.
func mayReplace(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && strings.HasPrefix(string(text), importer.Headline) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s is not of an earlier import: move it away, or choose another folder", path)
}

// summarize tells on stderr what came of it.
func (a *app) summarize(results []*importer.Result, folder string) {
	counts, notes := map[string]int{}, 0
	for _, r := range results {
		notes += len(r.AllNotes())
		for _, object := range r.Objects() {
			counts[object.KindName()]++
		}
	}
	var parts []string
	for _, kind := range []string{"VirtualHost", "Exchange", "Queue", "ExchangeBinding", "Topic"} {
		if counts[kind] > 0 {
			parts = append(parts, several(counts[kind], kind))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	text := "Imported " + strings.Join(parts, ", ")
	if folder != "" {
		text += " into " + folder
	}
	if notes > 0 {
		text += fmt.Sprintf("; %s at the end of the manifests", several(notes, "note"))
	}
	fmt.Fprintln(a.Err, text+".")
}
