// alloy-fmt reads a configuration of Grafana Alloy from standard input and prints it as `alloy fmt` does.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/printer"
)

func format() error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile("standard input", text)
	if err != nil {
		return err
	}
	if err := printer.Fprint(os.Stdout, file); err != nil {
		return err
	}
	_, err = fmt.Println()
	return err
}

func main() {
	if err := format(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
