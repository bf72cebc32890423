package migration

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// What is told to people: what is waited for, and what they can do if it does
// not come.

func (m *migration) draining(shoveled bool) topology.Progress {
	held, told := m.state.messages(m.want.Name)
	out := topology.Progress{Step: "Draining", Left: held, After: later}
	name, meanwhile := m.want.Name, "new messages wait in "+m.names.Park
	consumers := len(m.state.Consumers)
	switch {
	case !told:
		out.Message = fmt.Sprintf("RabbitMQ does not tell how many messages %s holds; %s", name, meanwhile)
	case shoveled && !m.state.Shovel.Working():
		out.Message = fmt.Sprintf("%s holds %s; %s", name, count(held, "message"), m.shovelTrouble())
	case shoveled:
		out.Message = fmt.Sprintf("%s holds %s, which are moved to %s since nobody consumes them; %s", name, count(held, "message"), m.names.Backlog, meanwhile)
		out.Moved, _ = m.state.messages(m.names.Backlog)
	case held > 0 && consumers == 0:
		out.Message = fmt.Sprintf("%s holds %s and has no consumer: if none comes, they are moved to %s; %s", name, count(held, "message"), m.names.Backlog, meanwhile)
	case held > 0:
		out.Message = fmt.Sprintf("%s holds %s and has %s: it is replaced once they have handled them (stop them, and the messages are moved instead); %s",
			name, count(held, "message"), count(int64(consumers), "consumer"), meanwhile)
	case m.delayed() > 0:
		out.Message = fmt.Sprintf("%s is empty, but %s in %s will come back to it through the default exchange; it is replaced when they have; %s",
			name, count(m.delayed(), "message"), strings.Join(m.holding(), ", "), meanwhile)
	default:
		out.Message = fmt.Sprintf("%s is empty, and is replaced if it stays empty for %s; %s", name, calm(m.live), meanwhile)
	}
	return out
}

// holding are the delay queues that hold messages.
func (m *migration) holding() []string {
	var out []string
	for _, queue := range m.state.Delays {
		if n, _ := m.state.messages(queue); n > 0 {
			out = append(out, queue)
		}
	}
	return out
}

func (m *migration) blocked() topology.Progress {
	if len(m.state.OtherShovels) == 0 {
		return m.stopping()
	}
	return topology.Progress{
		Step: "Draining", After: later,
		Message: fmt.Sprintf("%s is empty, but %s: delete it, so that the queue can be replaced; new messages wait in %s",
			m.want.Name, namedBy(m.state.OtherShovels), m.names.Park),
	}
}

func (m *migration) stopping() topology.Progress {
	return topology.Progress{Step: m.step(), After: soon, Message: fmt.Sprintf("shovel %s is about to end", m.names.Shovel)}
}

func (m *migration) returning() topology.Progress {
	left, told := int64(0), true
	for _, queue := range []string{m.names.Backlog, m.names.Park, m.names.Tail} {
		n, known := m.state.messages(queue)
		left += n
		told = told && (known || !m.state.queue(queue))
	}
	m.look.memory.peak = max(m.look.memory.peak, left)
	out := topology.Progress{Step: "Returning", Left: left, Moved: m.look.memory.peak - left, After: soon}
	switch {
	case m.state.Shovel != nil && !m.state.Shovel.Working():
		out.Message = fmt.Sprintf("%s wait to return to %s; %s", count(left, "message"), m.want.Name, m.shovelTrouble())
	case !told:
		out.Message = fmt.Sprintf("messages return to %s; RabbitMQ does not tell how many are left", m.want.Name)
	case left == 0:
		out.Message = fmt.Sprintf("no message is known to be on its way back to %s; the next step comes if none is seen for some seconds", m.want.Name)
	default:
		out.Message = fmt.Sprintf("%s are on their way back to %s", count(left, "message"), m.want.Name)
	}
	return out
}

func (m *migration) full() topology.Progress {
	out := m.returning()
	held, _ := m.state.messages(m.want.Name)
	out.Message = fmt.Sprintf("%s wait to return to %s, which holds %s and whose length is limited: they follow in portions, as consumers make room",
		count(out.Left, "message"), m.want.Name, count(held, "message"))
	return out
}

func (m *migration) shovelTrouble() string {
	status, reason := m.state.Shovel.Status, m.state.Shovel.Reason
	switch {
	case reason != "":
		return fmt.Sprintf("shovel %s does not run (%s: %s): see the broker's log; it is tried again every second, and anew every %s", m.names.Shovel, status, reason, idle)
	case status == "" || status == "starting":
		return fmt.Sprintf("shovel %s is about to start", m.names.Shovel)
	}
	return fmt.Sprintf("shovel %s does not run (%s): see the broker's log", m.names.Shovel, status)
}

// count renders "1 message", "1,204 messages".
func count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " " + noun
}
