package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks a question that only "yes" answers; an interrupt is a no. Without
// a terminal there is nobody to ask.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	if file, ok := a.In.(*os.File); ok && !term.IsTerminal(int(file.Fd())) {
		return fmt.Errorf("%w: there is no terminal to ask on; --yes confirms it", errDeclined)
	}
	fmt.Fprintf(a.Err, "%s Only yes goes on: ", question)
	line := make(chan string, 1)
	go func() { // which nobody can interrupt
		text, _ := bufio.NewReader(a.In).ReadString('\n') // the end of what is typed is a no
		line <- text
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.Err)
	case text := <-line:
		if strings.TrimSpace(text) == "yes" {
			return nil
		}
		if !strings.HasSuffix(text, "\n") {
			fmt.Fprintln(a.Err)
		}
	}
	return errDeclined
}
