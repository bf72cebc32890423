package trace

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Emphasis is how a word is shown on a terminal.
type Emphasis int

// Emphases.
const (
	// Heading of a part.
	Heading Emphasis = iota
	// Good is where a message is safe, Careful what is worth a second look, and
	// Bad where it is lost.
	Good
	Careful
	Bad
)

// Paint shows a word with an emphasis; it may leave it as it is.
type Paint func(Emphasis, string) string

const arrow = " → "

// Text writes the answer for people.
func (t *Trace) Text(out io.Writer, paint Paint) {
	p := printer{out, paint}
	p.line("", paint(Heading, t.Message.describe()+", in virtual host "+t.VirtualHost))
	if t.Way != nil {
		p.line("", "")
		p.line("", describeExchange(t.Way))
		p.hop(t.Way, "")
	}
	p.line("", "")
	p.verdict(t.Outcome, t.Why, t.reached())
	if t.Outcome != NotPredictable {
		for _, why := range t.NotPredictable {
			p.line("", paint(Careful, "Not predictable: "+why))
		}
	}
	for _, note := range t.Notes {
		p.line("", paint(Careful, "Note: "+note))
	}
	for _, landing := range t.Queues {
		p.landing(landing, "")
	}
	for _, landing := range t.Possible {
		p.landing(landing, ", if it gets there")
	}
}

func (m Message) describe() string {
	text := "exchange " + name(m.Exchange) + ", key " + bare(m.Key)
	if len(m.Headers) > 0 {
		text += ", headers " + m.Headers.Canonical()
	}
	if m.ExpirationMs != nil {
		text += ", expiration " + Millis(*m.ExpirationMs)
	}
	return text
}

func (t *Trace) reached() string {
	names := make([]string, 0, len(t.Queues))
	for _, landing := range t.Queues {
		names = append(names, bare(landing.Queue))
	}
	if len(names) == 1 {
		return "It goes to queue " + names[0] + "."
	}
	return fmt.Sprintf("It goes to %d queues: %s.", len(names), strings.Join(names, ", "))
}

// name of an exchange, or what stands for the one without.
func name(exchange string) string {
	if exchange == "" {
		return "(default)"
	}
	return bare(exchange)
}

// bare leaves plain words as they are, and quotes what a reader could not see.
func bare(text string) string {
	if text == "" || strings.ContainsAny(text, " \t,\"\\") || strconv.Quote(text) != `"`+text+`"` {
		return strconv.Quote(text)
	}
	return text
}

type printer struct {
	out   io.Writer
	paint Paint
}

func (p printer) line(indent, text string) { fmt.Fprintln(p.out, strings.TrimRight(indent+text, " ")) }

func (p printer) verdict(outcome Outcome, why, reached string) {
	switch outcome {
	case Routed:
		p.line("", p.paint(Good, reached))
	case NotPredictable:
		p.line("", p.paint(Careful, "Not predictable: "+why+"."))
	case Refused:
		p.line("", p.paint(Bad, "Refused: "+why+"."))
	default:
		p.line("", p.paint(Bad, strings.ToUpper(why[:1])+why[1:]+"."))
	}
}

func describeExchange(h *Hop) string {
	text := name(h.Exchange)
	switch {
	case h.Missing:
		return text + " (there is no such exchange)"
	case h.Again:
		return text + " (passed once, and shown there)"
	case h.Exchange == "":
		return text
	case h.NotPredictable != "":
		return text + " (" + h.Type + ", not predictable: each of these may get it, or may not)"
	}
	return text + " (" + h.Type + ")"
}

// hop prints what is behind an exchange.
func (p printer) hop(h *Hop, indent string) {
	type row struct {
		title string
		hop   *Hop
	}
	var rows []row
	for _, route := range h.Routes {
		title := describeBinding(h, route) + arrow
		switch {
		case route.Hop != nil:
			rows = append(rows, row{title + "exchange " + describeExchange(route.Hop), route.Hop})
		case route.Missing:
			rows = append(rows, row{p.paint(Careful, title+"queue "+bare(route.Queue)+" (there is no such queue)"), nil})
		default:
			rows = append(rows, row{title + "queue " + bare(route.Queue), nil})
		}
	}
	if h.Alternate != nil {
		why := "no binding matches: alternate exchange "
		if h.NotPredictable != "" {
			why = "alternate exchange "
		}
		rows = append(rows, row{why + describeExchange(h.Alternate), h.Alternate})
	}
	if h.Unmatched > 0 {
		rows = append(rows, row{count(h.Unmatched, "binding") + " that " + map[bool]string{true: "does", false: "do"}[h.Unmatched == 1] + " not match", nil})
	}
	if len(rows) == 0 && !h.Missing && !h.Again && h.NotPredictable == "" && h.Exchange != "" {
		rows = append(rows, row{"no binding, and no alternate exchange", nil})
	}
	for i, row := range rows {
		branch, below := "├── ", "│   "
		if i == len(rows)-1 {
			branch, below = "└── ", "    "
		}
		p.line(indent+branch, row.title)
		if row.hop != nil {
			p.hop(row.hop, indent+below)
		}
	}
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

func describeBinding(h *Hop, r Route) string {
	if h.Type == typeHeaders {
		return r.Arguments.Canonical()
	}
	return bare(r.BindingKey)
}

// landing prints what can happen to the message in a queue. Cases that end alike
// stand together.
func (p printer) landing(l Landing, doubt string) {
	p.line("", "")
	p.line("", p.paint(Heading, "queue "+bare(l.Queue)+" ("+l.Type+")"+doubt))
	for i := 0; i < len(l.Fates); i++ {
		when, rows := "If "+l.Fates[i].When, p.steps(l.Fates[i], l.Queue)
		for i+1 < len(l.Fates) && strings.Join(p.steps(l.Fates[i+1], l.Queue), "\n") == strings.Join(rows, "\n") {
			i++
			when += ", or if " + l.Fates[i].When
		}
		p.line("  ", when+":")
		for _, row := range rows {
			p.line("    ", row)
		}
	}
}

// steps are the lines of a fate.
func (p printer) steps(f Fate, home string) []string {
	children := map[int]int{}
	for _, s := range f.Steps {
		children[s.From]++
	}
	var out []string
	for i := 0; i < len(f.Steps); i++ {
		s := f.Steps[i]
		last := s
		for s.Event == Delivered && i+1 < len(f.Steps) && last.follows(f.Steps[i+1], i) {
			i++
			last = f.Steps[i]
		}
		text := p.step(s, last, home)
		if s.Maybe {
			text = "perhaps: " + text
		} else if children[s.From] > 1 {
			text = "a copy: " + text
		}
		out = append(out, fmt.Sprintf("%8s  %s", Millis(s.AtMs), text))
	}
	return out
}

// follows tells whether next is another delivery of the same kind, at once.
func (s Step) follows(next Step, index int) bool {
	return next.Event == Delivered && next.From == index && next.AtMs == s.AtMs && next.Death == "" && next.Why == s.Why
}

func (p printer) step(s, last Step, home string) string {
	way := ""
	if s.Death != "" {
		parts := []string{strings.ReplaceAll(s.Death, "_", " ")}
		for _, exchange := range s.Via {
			parts = append(parts, name(exchange))
		}
		if s.Queue != "" && len(s.Via) > 0 {
			parts = append(parts, bare(s.Queue))
		}
		way = strings.Join(parts, arrow) + ": "
	}
	where := ""
	if s.Queue != home && (s.Death == "" || len(s.Via) == 0) {
		where = " in " + bare(s.Queue)
	}
	why := ""
	if s.Why != "" {
		why = ": " + s.Why
	}
	switch s.Event {
	case Delivered:
		text := "delivery " + strconv.Itoa(s.Delivery)
		if last.Delivery > s.Delivery {
			text = fmt.Sprintf("deliveries %d to %d", s.Delivery, last.Delivery)
		}
		if s.Death != "" {
			text += ", with the key " + strings.Join(keys(s.Keys), ", ")
		}
		return way + text + why
	case Waits:
		if s.ForMs == 0 && s.Why != "" {
			return way + s.Why
		}
		return way + "waits " + Millis(s.ForMs) + where + why
	case Stays:
		return way + p.paint(Good, "stays"+where) + why
	case Dropped:
		return way + p.paint(Bad, "dropped") + why
	case NotTaken:
		return way + p.paint(Careful, "not taken") + why
	default:
		return way + p.paint(Careful, strings.TrimPrefix(why, ": "))
	}
}

func keys(all []string) []string {
	out := make([]string, 0, len(all))
	for _, key := range all {
		out = append(out, bare(key))
	}
	return out
}

// Text writes the answer for people.
func (t *TopicTrace) Text(out io.Writer, paint Paint) {
	p := printer{out, paint}
	title := "topic " + bare(t.Topic) + ", without a key"
	if t.Key != nil {
		title = "topic " + bare(t.Topic) + ", key " + bare(*t.Key)
	}
	p.line("", paint(Heading, title))
	p.line("", "")
	if t.Outcome == Routed {
		p.line("", paint(Good, "It goes to "+t.At.place()+", as picked by the partitioner of: "+t.Partitioner.String()+"."))
	} else {
		p.verdict(t.Outcome, t.Why, "")
	}
	if t.DeadLetter == nil {
		return
	}
	p.line("", "")
	p.line("", "If a consumer fails with it every time, publishes a copy for each retry, and commits:")
	row := func(at int64, text string) { p.line("    ", fmt.Sprintf("%8s  %s", Millis(at), text)) }
	row(0, "attempt 1, from "+t.At.place())
	for _, step := range t.Retries {
		row(step.AtMs, "waits "+Millis(step.ForMs)+" in "+step.place())
		row(step.AtMs+step.ForMs, "attempt "+strconv.Itoa(step.Delivery))
	}
	row(t.DeadLetter.AtMs, paint(Good, "stays in "+t.DeadLetter.place()))
}

func (s *TopicStep) place() string {
	switch {
	case s.Partition != nil:
		return fmt.Sprintf("partition %d of %d of %s", *s.Partition, s.Partitions, bare(s.Topic))
	case s.Partitions > 0:
		return fmt.Sprintf("one of the %d partitions of %s", s.Partitions, bare(s.Topic))
	}
	return bare(s.Topic)
}
