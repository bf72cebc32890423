package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks a question that only "yes" answers. Without a terminal there is
// nobody to ask.
func (a *app) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if file, ok := a.In.(*os.File); ok && !term.IsTerminal(int(file.Fd())) {
		return fmt.Errorf("%w: there is no terminal to ask on; --yes confirms it", errDeclined)
	}
	fmt.Fprintf(a.Err, "%s Only yes goes on: ", question)
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if strings.TrimSpace(line) == "yes" {
		return nil
	}
	if err != nil {
		fmt.Fprintln(a.Err)
	}
	return errDeclined
}
