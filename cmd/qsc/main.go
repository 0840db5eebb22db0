// Command qsc is the quantum secure cloud: one trusted node, a whole network of
// them on this machine, and the commands that store files in it and get them
// back. It only starts package cli; nothing is decided here.
package main

import (
	"os"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
