package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"
)

// colour of a word on a terminal.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// cell is a word of a table.
type cell struct {
	text   string
	colour colour
}

// paper is where results are printed.
type paper struct {
	out      io.Writer
	coloured bool
}

// page is stdout, in colour if a person looks at it and has not asked for none.
func (a *app) page() paper {
	file, ok := a.Out.(*os.File)
	terminal := ok && term.IsTerminal(int(file.Fd()))
	return paper{out: a.Out, coloured: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p paper) paint(c cell) string {
	if c.colour == plain || !p.coloured {
		return c.text
	}
	return "\x1b[" + string(c.colour) + "m" + c.text + "\x1b[0m"
}

func (p paper) printf(format string, args ...any) { fmt.Fprintf(p.out, format, args...) }

// columnGap is that of kubectl.
const columnGap = 3

// table prints rows under a header, aligned.
func (p paper) table(header []string, rows [][]cell) {
	widths := make([]int, len(header))
	head := make([]cell, len(header))
	for i, word := range header {
		head[i] = cell{word, bold}
	}
	all := append([][]cell{head}, rows...)
	for _, row := range all {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(p.paint(c))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+columnGap))
			}
		}
		fmt.Fprintln(p.out, strings.TrimRight(line.String(), " "))
	}
}

// age is a time as kubectl tells it; "-" if it is not known.
func age(since *time.Time, now time.Time) string {
	if since == nil {
		return "-"
	}
	return duration.HumanDuration(now.Sub(*since))
}

// format is the flag -o.
type format string

func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (*format) Type() string { return "json|yaml" }

// Set implements pflag.Value.
func (f *format) Set(value string) error {
	switch value {
	case "json", "yaml":
		*f = format(value)
		return nil
	}
	return fmt.Errorf("json or yaml; without it the output is for people")
}

// print renders a value for programs.
func (f *format) print(out io.Writer, value any) error {
	var text []byte
	var err error
	if *f == "yaml" {
		text, err = yaml.Marshal(value)
	} else {
		text, err = json.MarshalIndent(value, "", "  ")
		text = append(text, '\n')
	}
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
