package cli

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// kindReport counts the resources of a kind.
type kindReport struct {
	Kind        string `json:"kind"`
	Total       int    `json:"total"`
	Ready       int    `json:"ready"`
	Suspended   int    `json:"suspended"`
	Drifted     int    `json:"drifted"`
	DeadLetters int    `json:"deadLetters"`
}

// objectReport is a resource that is not simply as declared.
type objectReport struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Ready     string `json:"ready"`
	Reason    string `json:"reason"`
	// Message of the condition Ready; empty if it is True.
	Message string `json:"message,omitempty"`
	// Drifted and DeadLetters are the messages of those conditions while True.
	Drifted     string `json:"drifted,omitempty"`
	DeadLetters string `json:"deadLetters,omitempty"`
}

func (r objectReport) title() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// waits tells whether it needs a person. One that is suspended has had one.
func (r objectReport) waits() bool {
	return r.Ready != string(metav1.ConditionTrue) && r.Reason != v1alpha1.ReasonSuspended || r.Drifted != "" || r.DeadLetters != ""
}

func reportOfObject(o v1alpha1.Object) objectReport {
	conditions := o.GetStatus().Conditions
	out := objectReport{
		Kind: o.KindName(), Namespace: o.GetNamespace(), Name: o.GetName(),
		Ready: string(metav1.ConditionUnknown), Reason: "NotSeen", Message: "no controller has looked at this state of it yet",
	}
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil && o.GetStatus().ObservedGeneration == o.GetGeneration() {
		out.Ready, out.Reason, out.Message = string(ready.Status), ready.Reason, ready.Message
		if ready.Status == metav1.ConditionTrue {
			out.Message = ""
		}
	}
	told := func(condition string) string {
		if c := meta.FindStatusCondition(conditions, condition); c != nil && c.Status == metav1.ConditionTrue {
			return c.Message
		}
		return ""
	}
	out.Drifted, out.DeadLetters = told(v1alpha1.ConditionDrifted), told(v1alpha1.ConditionDeadLettersPresent)
	return out
}

// survey counts resources by kind, and picks those that need a person.
func survey(all []v1alpha1.Object) (kinds []kindReport, waiting []objectReport) {
	kinds, waiting = []kindReport{}, []objectReport{}
	for _, o := range all {
		at := slices.IndexFunc(kinds, func(k kindReport) bool { return k.Kind == o.KindName() })
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, kindReport{Kind: o.KindName()})
		}
		k, r := &kinds[at], reportOfObject(o)
		k.Total++
		for counter, holds := range map[*int]bool{
			&k.Ready: r.Ready == string(metav1.ConditionTrue), &k.Suspended: r.Reason == v1alpha1.ReasonSuspended,
			&k.Drifted: r.Drifted != "", &k.DeadLetters: r.DeadLetters != "",
		} {
			if holds {
				*counter++
			}
		}
		if r.waits() {
			waiting = append(waiting, r)
		}
	}
	slices.SortStableFunc(waiting, func(a, b objectReport) int { return strings.Compare(a.Namespace, b.Namespace) })
	return kinds, waiting
}

// mostTold is how many resources of a sort are told of one by one: a screen's
// worth.
const mostTold = 20

func tellKinds(p paper, kinds []kindReport) {
	var rows [][]cell
	for _, k := range kinds {
		rows = append(rows, []cell{
			{k.Kind, plain}, {strconv.Itoa(k.Total), plain}, {strconv.Itoa(k.Ready), plain},
			count(k.Total-k.Ready-k.Suspended, red), count(k.Suspended, plain), count(k.Drifted, yellow), count(k.DeadLetters, yellow),
		})
	}
	if len(rows) > 0 {
		p.printf("\n")
		p.table([]string{"RESOURCE", "TOTAL", "READY", "NOT READY", "SUSPENDED", "DRIFTED", "DEAD LETTERS"}, rows)
	}
}

// tellObjects says of resources what is wrong, sort by sort.
func tellObjects(p paper, waiting []objectReport) {
	for _, sort := range []struct {
		words string
		says  func(objectReport) (text string, c colour)
	}{
		{"is not ready", func(r objectReport) (string, colour) { return r.Message, readyColour(r.Ready) }},
		{"has drifted, and is reported only", func(r objectReport) (string, colour) { return r.Drifted, yellow }},
		{"has dead letters", func(r objectReport) (string, colour) { return r.DeadLetters, yellow }},
	} {
		told := 0
		for _, r := range waiting {
			text, c := sort.says(r)
			if text == "" {
				continue
			}
			if told++; told > mostTold {
				continue
			}
			words := sort.words
			if r.Message == text {
				words += ": " + r.Reason
			}
			p.printf("\n%s\n  %s\n", p.paint(cell{r.title() + " " + words, c}), text)
		}
		if told > mostTold {
			p.printf("\n%s, and so on: -o json lists them all\n", several(told-mostTold, "more resource")+" "+strings.Replace(sort.words, "is not", "are not", 1))
		}
	}
}
